// SPDX-License-Identifier: Apache-2.0
// Threads whose credentials differ from their leader's (the raw calls change one thread only).
#include <linux/capability.h>

#include <thread>

#include "harness/cr_test.h"

void cr::test() {
  auto body = [](uid_t uid) {
    if (uid == 7000) {
      // Without any capability, uid unchanged.
      __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
      __user_cap_data_struct none[2] = {};
      REQUIRE(::syscall(SYS_capset, &header, none) == 0);
    } else {
      const gid_t groups[] = {uid + 1, uid + 2};
      REQUIRE(::syscall(SYS_setgroups, 2, groups) == 0);
      REQUIRE(::syscall(SYS_setresuid, uid, uid, uid) == 0);
    }
    wait_released();
    CHECK_EQ(::geteuid(), uid == 7000 ? 0 : uid);
    CHECK(::syscall(SYS_setresuid, 8000, 8000, 8000) == -1 && errno == EPERM);
  };
  std::thread a(body, 5000), b(body, 6000), c(body, 7000);
  await_waiting(3);
  checkpoint_here();
  a.join();
  b.join();
  c.join();
  CHECK_EQ(::geteuid(), 0U);
}
