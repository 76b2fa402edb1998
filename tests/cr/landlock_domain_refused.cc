// SPDX-License-Identifier: Apache-2.0
// One thread of a child lives in a Landlock domain: restored it would be outside of it.
#include <linux/landlock.h>
#include <sys/prctl.h>

#include <thread>

#include "harness/cr_test.h"

cr::Options cr::options() {
  return {.refused = "landlock_restrict_self"};
}

void cr::test() {
  landlock_ruleset_attr rules{};
  rules.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_SOCK;
  const int ruleset = static_cast<int>(::syscall(SYS_landlock_create_ruleset, &rules, sizeof rules, 0));
  if (ruleset < 0 && (errno == ENOSYS || errno == EOPNOTSUPP)) skip("landlock");
  REQUIRE(ruleset >= 0);
  Child child([ruleset] {
    std::thread confined([ruleset] {
      REQUIRE(::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
      REQUIRE(::syscall(SYS_landlock_restrict_self, ruleset, 0) == 0);
      ::close(ruleset);
      wait_released();
    });
    confined.join();
  });
  ::close(ruleset);
  await_waiting(1);
  checkpoint_here();
  child.join();
}
