// SPDX-License-Identifier: Apache-2.0
// A child that ended in a user namespace of its own, where it had all capabilities.
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include "harness/cr_test.h"

cr::Options cr::options() {
  // It ends with what bpfckpt has.
  return {.ignore = {"*/status/Cap*"}};
}

void cr::test() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::unshare(CLONE_NEWUSER) == 0 ? 7 : 8);
  siginfo_t info{};
  REQUIRE(::waitid(P_PID, child, &info, WEXITED | WNOWAIT) == 0);
  if (info.si_status != 7) skip("machine: user namespaces");
  checkpoint_here();
  CHECK_EQ(::waitid(P_PID, child, &info, WEXITED), 0);
  CHECK_EQ(info.si_pid, child);
  CHECK_EQ(info.si_code, CLD_EXITED);
  CHECK_EQ(info.si_status, 7);
  CHECK_EQ(info.si_uid, 0U);
}
