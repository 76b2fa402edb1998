// SPDX-License-Identifier: Apache-2.0
// Waiting for a child (wait4 and waitid) goes on across the checkpoint and gets the child's status.
#include <sys/wait.h>

#include "harness/cr_test.h"

void cr::test() {
  Child with_wait4([] {
    const pid_t pid = ::fork();
    if (pid == 0) {
      wait_released();
      ::_exit(23);
    }
    int status = 0;
    CHECK_EQ(::syscall(SYS_wait4, -1, &status, 0, nullptr), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 23);
  });
  Child with_waitid([] {
    const pid_t pid = ::fork();
    if (pid == 0) {
      wait_released();
      ::kill(::getpid(), SIGKILL);
    }
    siginfo_t info{};
    CHECK_EQ(::waitid(P_PID, pid, &info, WEXITED), 0);
    CHECK_EQ(info.si_pid, pid);
    CHECK_EQ(info.si_code, CLD_KILLED);
    CHECK_EQ(info.si_status, SIGKILL);
  });
  wait_in_syscall(with_wait4.pid(), SYS_wait4);
  wait_in_syscall(with_waitid.pid(), SYS_waitid);
  checkpoint_here();
  with_wait4.join();
  with_waitid.join();
}
