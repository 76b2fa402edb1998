// SPDX-License-Identifier: Apache-2.0
// A namespace that nobody lives in and that is kept by a mount, as `ip netns` does it, is opened by that name
// again.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "harness/cr_test.h"

void cr::test() {
  const std::string place = directory() + "/kept";
  REQUIRE(::close(::open(place.c_str(), O_CREAT | O_WRONLY, 0600)) == 0);
  Child maker([&] {
    REQUIRE(::unshare(CLONE_NEWUTS) == 0 && ::sethostname("kept", 4) == 0);
    REQUIRE(::mount("/proc/self/ns/uts", place.c_str(), nullptr, MS_BIND, nullptr) == 0);
  });
  maker.join();
  const int fd = ::open(place.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat before, after;
  REQUIRE(fd >= 0 && ::fstat(fd, &before) == 0);
  checkpoint_here();
  CHECK(::fstat(fd, &after) == 0 && before.st_dev == after.st_dev && before.st_ino == after.st_ino);
  Child visitor([&] {
    CHECK_EQ(::setns(fd, CLONE_NEWUTS), 0);
    char name[16] = {};
    CHECK(::gethostname(name, sizeof(name)) == 0);
    CHECK_EQ(std::string(name), "kept");
  });
  visitor.join();
  CHECK_EQ(::umount2(place.c_str(), MNT_DETACH), 0);
}
