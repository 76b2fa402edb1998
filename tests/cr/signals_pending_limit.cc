// SPDX-License-Identifier: Apache-2.0
// Queued real-time signals of an ordinary user, in order and with their values, where RLIMIT_SIGPENDING has
// become lower than what is queued: for the process and for one of its threads.
#include <grp.h>
#include <signal.h>
#include <sys/resource.h>

#include <array>

#include "harness/cr_test.h"

namespace {

constexpr int kCount = 20;

void queue(int signal, bool for_thread) {
  for (int i = 0; i < kCount; ++i) {
    siginfo_t info{};
    info.si_signo = signal;
    info.si_code = SI_QUEUE;
    info.si_pid = ::getpid();
    info.si_uid = ::getuid();
    info.si_value.sival_int = i;
    const long done = for_thread ? ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), cr::gettid(), signal, &info)
                                 : ::syscall(SYS_rt_sigqueueinfo, ::getpid(), signal, &info);
    REQUIRE(done == 0);
  }
}

void verify(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  const timespec now{};
  for (int i = 0; i < kCount; ++i) {
    siginfo_t info{};
    CHECK_EQ(::sigtimedwait(&set, &info, &now), signal);
    CHECK_EQ(info.si_value.sival_int, i);
    CHECK_EQ(info.si_code, static_cast<int>(SI_QUEUE));
  }
  CHECK_EQ(::sigtimedwait(&set, nullptr, &now), -1);
}

}  // namespace

void cr::test() {
  Child child([] {
    sigset_t all;
    sigfillset(&all);
    REQUIRE(::sigprocmask(SIG_BLOCK, &all, nullptr) == 0);
    REQUIRE(::setgroups(0, nullptr) == 0 && ::setgid(65534) == 0 && ::setuid(65534) == 0);
    queue(SIGRTMIN + 3, false);
    queue(SIGRTMIN + 4, true);
    const rlimit none{0, 0};
    REQUIRE(::setrlimit(RLIMIT_SIGPENDING, &none) == 0);
    wait_released();
    rlimit limit{1, 1};
    REQUIRE(::getrlimit(RLIMIT_SIGPENDING, &limit) == 0);
    CHECK(limit.rlim_cur == 0 && limit.rlim_max == 0);
    verify(SIGRTMIN + 3);
    verify(SIGRTMIN + 4);
  });
  await_waiting(1);
  checkpoint_here();
  child.join();
}
