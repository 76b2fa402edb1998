// SPDX-License-Identifier: Apache-2.0
// ctest-timeout: 180
// As many watches as large programs have, in a tree of directories: more than one reading of the collector
// holds.
#include <sys/inotify.h>
#include <sys/ioctl.h>

#include "harness/cr_memory.h"

void cr::test() {
  constexpr int kDirectories = 200, kInEach = 100;
  const int fd = ::inotify_init1(IN_NONBLOCK);
  std::vector<std::string> paths;
  for (int i = 0; i < kDirectories; ++i) {
    const std::string top = directory() + "/directory-" + std::to_string(i);
    REQUIRE(::mkdir(top.c_str(), 0755) == 0);
    for (int k = 0; k < kInEach; ++k) {
      paths.push_back(top + "/" + std::to_string(k));
      REQUIRE(::mkdir(paths.back().c_str(), 0755) == 0);
      const int wd = ::inotify_add_watch(fd, paths.back().c_str(), IN_CREATE | IN_DELETE);
      if (wd < 0 && errno == ENOSPC) skip("machine: fs.inotify.max_user_watches of 20000");
      REQUIRE(wd == static_cast<int>(paths.size()));
    }
  }
  checkpoint_here();
  int unread = -1;
  CHECK(::ioctl(fd, FIONREAD, &unread) == 0 && unread == 0);
  for (std::size_t i = 0; i < paths.size(); i += 997) {
    REQUIRE(::mkdir((paths[i] + "/x").c_str(), 0755) == 0);
    alignas(inotify_event) char buffer[512];
    REQUIRE(::read(fd, buffer, sizeof(buffer)) == static_cast<ssize_t>(sizeof(inotify_event) + 16));
    const auto* event = reinterpret_cast<const inotify_event*>(buffer);
    CHECK_EQ(event->wd, static_cast<int>(i + 1));
    CHECK(event->mask == (IN_CREATE | IN_ISDIR));
    CHECK_EQ(std::string(event->name), "x");
  }
}
