// SPDX-License-Identifier: Apache-2.0
// Watches on what has lost its name and lives only by descriptors: a file, a directory, one that another
// process holds. They tell what happens to it, and that it goes at last.
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "harness/cr_memory.h"

cr::Options cr::options() {
  // The inodes are new ones.
  return {.ignore = {"*/target/*"}};
}

namespace {

std::vector<inotify_event> events(int fd) {
  alignas(inotify_event) char buffer[4096];
  std::vector<inotify_event> found;
  const ssize_t got = ::read(fd, buffer, sizeof(buffer));
  for (ssize_t at = 0; at < got;) {
    const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
    found.push_back(*event);
    at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
  }
  return found;
}

}  // namespace

void cr::test() {
  const std::string file = directory() + "/file", dir = directory() + "/dir", other = directory() + "/other";
  const int fd = make_file("file", "content");
  const int other_fd = make_file("other", "x");
  REQUIRE(::mkdir(dir.c_str(), 0755) == 0);
  const int dir_fd = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY);
  const int inotify = ::inotify_init1(IN_NONBLOCK);
  const int file_wd = ::inotify_add_watch(inotify, file.c_str(), IN_ALL_EVENTS);
  const int dir_wd = ::inotify_add_watch(inotify, dir.c_str(), IN_ALL_EVENTS);
  const int other_wd = ::inotify_add_watch(inotify, other.c_str(), IN_MODIFY);
  REQUIRE(file_wd == 1 && dir_wd == 2 && other_wd == 3);
  Child child([&] {
    wait_released();
    CHECK(::write(other_fd, "y", 1) == 1);
  });
  ::close(other_fd);
  REQUIRE(::unlink(file.c_str()) == 0 && ::rmdir(dir.c_str()) == 0 && ::unlink(other.c_str()) == 0);
  events(inotify);
  await_waiting(1);
  checkpoint_here();
  child.join();
  std::vector<inotify_event> seen = events(inotify);
  REQUIRE(seen.size() == 2);  // the child's write, and that it had the file as the last
  CHECK(seen[0].wd == other_wd && seen[0].mask == IN_MODIFY);
  CHECK(seen[1].wd == other_wd && seen[1].mask == IN_IGNORED);

  CHECK(::pwrite(fd, "C", 1, 0) == 1);
  seen = events(inotify);
  REQUIRE(seen.size() == 1);
  CHECK(seen[0].wd == file_wd && seen[0].mask == IN_MODIFY);
  CHECK(::close(fd) == 0);
  seen = events(inotify);
  REQUIRE(seen.size() == 3);
  CHECK(seen[0].wd == file_wd && seen[0].mask == IN_CLOSE_WRITE);
  CHECK(seen[1].wd == file_wd && seen[1].mask == IN_DELETE_SELF);
  CHECK(seen[2].wd == file_wd && seen[2].mask == IN_IGNORED);
  CHECK(::close(dir_fd) == 0);
  seen = events(inotify);
  REQUIRE(seen.size() >= 2);
  CHECK(seen.back().wd == dir_wd && seen.back().mask == IN_IGNORED);
}
