// SPDX-License-Identifier: Apache-2.0
// Descriptors of every namespace the tree lives in: they still are those, and setns(2) still takes them.
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "harness/cr_memory.h"

namespace {

struct Held {
  const char* type;
  int fd;
};

bool same(int fd, const std::string& path) {
  struct stat a, b;
  return ::fstat(fd, &a) == 0 && ::stat(path.c_str(), &b) == 0 && a.st_dev == b.st_dev &&
         a.st_ino == b.st_ino;
}

}  // namespace

void cr::test() {
  std::vector<Held> held;
  for (const char* type : {"cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts", "pid_for_children"}) {
    const int fd = ::open((std::string("/proc/self/ns/") + type).c_str(), O_RDONLY | O_CLOEXEC);
    if (fd >= 0) held.push_back({type, fd});
  }
  REQUIRE(held.size() >= 7);
  const int path_only = ::open("/proc/self/ns/net", O_PATH);
  checkpoint_here();
  for (const auto& [type, fd] : held) {
    CHECK(same(fd, std::string("/proc/self/ns/") + type));
    CHECK(::ioctl(fd, NS_GET_NSTYPE) > 0);
  }
  CHECK(same(path_only, "/proc/self/ns/net"));
  CHECK_EQ(::setns(held[1].fd, CLONE_NEWIPC), 0);
}
