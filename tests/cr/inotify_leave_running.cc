// SPDX-License-Identifier: Apache-2.0
// A dump that leaves the tree running is not told to it, and events that were not read yet are still there.
#include <sys/inotify.h>

#include "harness/cr_memory.h"

cr::Options cr::options() {
  return {.dump_args = {"--leave-running"}, .leaves_running = true};
}

void cr::test() {
  const int file = make_file("file", std::string(8192, 'x'));
  const std::string path = directory() + "/file";
  char* shared = map(8192, PROT_READ | PROT_WRITE, MAP_SHARED, file);
  char* own = map(8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, file);
  own[0] = 'y';
  const int fd = ::inotify_init1(IN_NONBLOCK);
  const int wd = ::inotify_add_watch(fd, path.c_str(), IN_ALL_EVENTS);
  REQUIRE(wd > 0 && ::pwrite(file, "z", 1, 0) == 1);
  checkpoint_here();
  alignas(inotify_event) char buffer[4096];
  CHECK_EQ(::read(fd, buffer, sizeof(buffer)), static_cast<ssize_t>(sizeof(inotify_event)));
  CHECK(reinterpret_cast<const inotify_event*>(buffer)->mask == IN_MODIFY);
  CHECK(::read(fd, buffer, sizeof(buffer)) < 0 && errno == EAGAIN);
  CHECK(shared[0] == 'z' && own[0] == 'y');
}
