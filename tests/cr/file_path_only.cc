// SPDX-License-Identifier: Apache-2.0
// O_PATH descriptors: of a file, a directory, a symbolic link, a FIFO. They name things without having opened
// them.
#include "harness/cr_memory.h"

void cr::test() {
  ::close(make_file("file", "content"));
  REQUIRE(::mkdir((directory() + "/dir").c_str(), 0755) == 0);
  REQUIRE(::symlink("file", (directory() + "/link").c_str()) == 0);
  REQUIRE(::mkfifo((directory() + "/fifo").c_str(), 0600) == 0);
  auto open = [](const char* name, int flags) {
    const int fd = ::open((directory() + "/" + name).c_str(), O_PATH | flags);
    REQUIRE(fd >= 0);
    return fd;
  };
  const int file = open("file", 0), dir = open("dir", O_DIRECTORY),
            link = open("link", O_NOFOLLOW | O_CLOEXEC);
  const int fifo = open("fifo", 0);
  checkpoint_here();
  for (const int fd : {file, dir, link, fifo}) CHECK((::fcntl(fd, F_GETFL) & O_PATH) != 0);
  char byte;
  CHECK(::read(file, &byte, 1) < 0 && errno == EBADF);
  const int again = ::open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDONLY);
  CHECK_EQ(read_all(again), "content");
  CHECK(::openat(dir, "new", O_CREAT | O_WRONLY, 0600) >= 0);
  char target[16] = {};
  CHECK_EQ(::readlinkat(link, "", target, sizeof(target)), 4);
  CHECK_EQ(std::string(target), "file");
  struct stat st{};
  CHECK(::fstat(fifo, &st) == 0 && S_ISFIFO(st.st_mode));
}
