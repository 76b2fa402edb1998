// SPDX-License-Identifier: Apache-2.0
// sigsuspend and pause: still waiting afterwards, with the waiting mask in force; a signal ends them with
// EINTR, runs its handler once, and the mask from before is back.
#include <signal.h>

#include "harness/cr_test.h"

namespace {
volatile sig_atomic_t handled = 0;
}

void cr::test() {
  struct sigaction action{};
  action.sa_handler = [](int) { handled = handled + 1; };
  REQUIRE(::sigaction(SIGUSR1, &action, nullptr) == 0);
  Child suspended([] {
    sigset_t blocked, during, after;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::sigaddset(&blocked, SIGUSR2);
    REQUIRE(::sigprocmask(SIG_SETMASK, &blocked, nullptr) == 0);
    ::sigemptyset(&during);
    ::sigaddset(&during, SIGUSR2);
    CHECK_EQ(::sigsuspend(&during), -1);
    CHECK_EQ(errno, EINTR);
    CHECK_EQ(handled, 1);
    ::sigprocmask(SIG_SETMASK, nullptr, &after);
    CHECK(std::memcmp(&blocked, &after, 8) == 0);
  });
  Child paused([] {
    CHECK_EQ(::pause(), -1);
    CHECK_EQ(errno, EINTR);
    CHECK_EQ(handled, 1);
  });
  wait_in_syscall(suspended.pid(), SYS_rt_sigsuspend);
  wait_in_syscall(paused.pid(), SYS_pause);
  checkpoint_here();
  REQUIRE(::kill(suspended.pid(), SIGUSR2) == 0);  // stays blocked in both masks
  for (const Child* child : {&suspended, &paused}) {
    wait_in_syscall(child->pid(), child == &paused ? SYS_pause : SYS_rt_sigsuspend);
    REQUIRE(::kill(child->pid(), SIGUSR1) == 0);
  }
  suspended.join();
  paused.join();
}
