// SPDX-License-Identifier: Apache-2.0
// O_PATH descriptors of what has no name any more or never had one: a file with its content, a directory, a
// symbolic link, a socket, a device, a FIFO that is also open, pipes.
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#include "harness/cr_memory.h"

namespace {

std::string path(const char* name) {
  return cr::directory() + "/" + name;
}

int place_of(const std::string& name, int flags = 0) {
  const int fd = ::open(name.c_str(), O_PATH | flags);
  REQUIRE(fd >= 0);
  return fd;
}

std::string link(int fd) {
  return "/proc/self/fd/" + std::to_string(fd);
}

}  // namespace

void cr::test() {
  ::close(make_file("file", "content"));
  const int file = place_of(path("file"));
  REQUIRE(::mkdir(path("dir").c_str(), 0751) == 0);
  const int dir = place_of(path("dir"));
  REQUIRE(::symlink("where it\nleads", path("link").c_str()) == 0);
  const int symlink = place_of(path("link"), O_NOFOLLOW);
  const int listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::strcpy(address.sun_path, path("socket").c_str());
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
  ::close(listener);
  const int socket = place_of(path("socket"));
  const bool devices = ::mknod(path("device").c_str(), S_IFCHR | 0620, makedev(1, 7)) == 0;
  const int device = devices ? place_of(path("device")) : -1;
  REQUIRE(::mkfifo(path("fifo").c_str(), 0604) == 0);
  const int fifo = place_of(path("fifo")), fifo_open = ::open(path("fifo").c_str(), O_RDWR);
  REQUIRE(fifo_open >= 0 && ::write(fifo_open, "in fifo", 7) == 7);
  REQUIRE(::mkfifo(path("lone").c_str(), 0604) == 0);
  const int lone = place_of(path("lone"));
  int ends[2], lost[2];
  REQUIRE(::pipe(ends) == 0 && ::write(ends[1], "in pipe", 7) == 7 && ::pipe(lost) == 0);
  // The place comes first among the descriptors, so that it is what the pipe is met by.
  const int spare = ::fcntl(ends[0], F_DUPFD, 50), write_end = ::dup(ends[1]);
  const int pipe = ::dup2(place_of(link(ends[0])), ends[0]);
  ::close(ends[1]);
  const int lost_place = place_of(link(lost[0]));
  ::close(lost[0]);
  ::close(lost[1]);
  for (const char* name : {"file", "link", "socket", "device", "fifo", "lone"}) ::unlink(path(name).c_str());
  REQUIRE(::rmdir(path("dir").c_str()) == 0);

  checkpoint_here();
  CHECK_EQ(read_all(::open(link(file).c_str(), O_RDONLY | O_CLOEXEC)), "content");
  char buffer[64] = {};
  CHECK_EQ(::readlinkat(symlink, "", buffer, sizeof(buffer)), 14);
  CHECK_EQ(std::string(buffer), "where it\nleads");
  struct stat st{};
  CHECK(::fstat(dir, &st) == 0 && st.st_mode == (S_IFDIR | 0751));
  CHECK(::fstat(socket, &st) == 0 && S_ISSOCK(st.st_mode));
  CHECK(::fstat(lone, &st) == 0 && st.st_mode == (S_IFIFO | 0604));
  if (devices) {
    CHECK(::fstat(device, &st) == 0 && st.st_mode == (S_IFCHR | 0620) && st.st_rdev == makedev(1, 7));
    CHECK(::write(::open(link(device).c_str(), O_WRONLY | O_CLOEXEC), "x", 1) < 0 && errno == ENOSPC);
  }
  CHECK(::fstat(fifo, &st) == 0 && st.st_mode == (S_IFIFO | 0604));
  const int joined = ::open(link(fifo).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  std::memset(buffer, 0, sizeof(buffer));
  CHECK_EQ(::read(joined, buffer, sizeof(buffer)), 7);
  CHECK_EQ(std::string(buffer), "in fifo");
  const int through = ::open(link(pipe).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  CHECK_EQ(::read(through, buffer, sizeof(buffer)), 7);
  CHECK_EQ(std::string(buffer), "in pipe");
  CHECK_EQ(::write(write_end, "more", 4), 4);
  CHECK_EQ(::read(spare, buffer, sizeof(buffer)), 4);
  CHECK(::fstat(lost_place, &st) == 0 && S_ISFIFO(st.st_mode));
}
