// SPDX-License-Identifier: Apache-2.0
// sigwaitinfo and sigtimedwait, which the kernel ends with EINTR whenever they are disturbed: bpfckpt must
// enter them again, or the program sees an error that no signal explains.
#include <signal.h>
#include <time.h>

#include "harness/cr_test.h"

void cr::test() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGUSR1);
  REQUIRE(::sigprocmask(SIG_BLOCK, &set, nullptr) == 0);
  Child waiting([&] {
    siginfo_t info{};
    CHECK_EQ(::syscall(SYS_rt_sigtimedwait, &set, &info, nullptr, 8), SIGUSR1);
    CHECK_EQ(info.si_pid, ::getppid());
    CHECK_EQ(info.si_value.sival_int, 4711);
  });
  Child limited([&] {
    const timespec limit{60, 0};
    CHECK_EQ(::syscall(SYS_rt_sigtimedwait, &set, nullptr, &limit, 8), SIGUSR1);
  });
  wait_in_syscall(waiting.pid(), SYS_rt_sigtimedwait);
  wait_in_syscall(limited.pid(), SYS_rt_sigtimedwait);
  checkpoint_here();
  REQUIRE(::sigqueue(waiting.pid(), SIGUSR1, {.sival_int = 4711}) == 0);
  REQUIRE(::kill(limited.pid(), SIGUSR1) == 0);
  waiting.join();
  limited.join();
}
