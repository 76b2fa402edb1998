// SPDX-License-Identifier: Apache-2.0
// All 64 signal dispositions, byte for byte as the kernel has them: handler, flags, restorer and mask.
#include <signal.h>

#include "harness/cr_test.h"

namespace {

struct KernelAction {
  void* handler;
  unsigned long flags;
  void* restorer;
  std::uint64_t mask;
  bool operator==(const KernelAction&) const = default;
};

void read_all(KernelAction (&actions)[65]) {
  for (int signal = 1; signal <= 64; ++signal) {
    CHECK_EQ(::syscall(SYS_rt_sigaction, signal, nullptr, &actions[signal], 8), 0);
  }
}

volatile sig_atomic_t got = 0;
void handler(int signal, siginfo_t* info, void*) {
  got = signal * 100 + info->si_value.sival_int;
}

}  // namespace

void cr::test() {
  ::signal(SIGCHLD, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGTSTP, SIG_IGN);
  for (int i = 0; i < 20; ++i) {
    struct sigaction action{};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | (i % 2 ? SA_RESTART : 0) | (i % 3 ? SA_NODEFER : 0) |
                      (i % 5 ? SA_ONSTACK : 0) | (i % 7 == 6 ? SA_NOCLDSTOP : 0);
    ::sigaddset(&action.sa_mask, 1 + (i * 5) % 60);
    REQUIRE(::sigaction(SIGRTMIN + i, &action, nullptr) == 0);
  }
  struct sigaction once{};
  once.sa_sigaction = handler;
  once.sa_flags = SA_SIGINFO | static_cast<int>(SA_RESETHAND);
  REQUIRE(::sigaction(SIGUSR1, &once, nullptr) == 0);
  KernelAction before[65]{}, after[65]{};
  read_all(before);
  checkpoint_here();
  read_all(after);
  for (int signal = 1; signal <= 64; ++signal) CHECK(before[signal] == after[signal]);
  REQUIRE(::sigqueue(::getpid(), SIGUSR1, {.sival_int = 5}) == 0);
  CHECK_EQ(got, SIGUSR1 * 100 + 5);
}
