// SPDX-License-Identifier: Apache-2.0
// Pending signals of the process and of single threads: order, and every field of their siginfo.
#include <signal.h>
#include <time.h>

#include <thread>

#include "harness/cr_test.h"

namespace {

siginfo_t take(const sigset_t& set) {
  siginfo_t info{};
  const timespec now{0, 0};
  // Raw: glibc shows SI_TKILL as SI_USER.
  if (::syscall(SYS_rt_sigtimedwait, &set, &info, &now, 8) < 0) info.si_signo = -1;
  return info;
}

void expect(const siginfo_t& info, int signal, int code, int value) {
  CHECK_EQ(info.si_signo, signal);
  CHECK_EQ(info.si_code, code);
  CHECK_EQ(info.si_pid, ::getpid());
  CHECK_EQ(info.si_uid, ::getuid());
  if (code == SI_QUEUE) CHECK_EQ(info.si_value.sival_int, value);
}

}  // namespace

void cr::test() {
  sigset_t all;
  ::sigfillset(&all);
  REQUIRE(::pthread_sigmask(SIG_SETMASK, &all, nullptr) == 0);
  const int rt = SIGRTMIN + 3;
  std::thread other([&] {
    ::pthread_kill(::pthread_self(), SIGUSR1);
    ::pthread_sigqueue(::pthread_self(), rt, {.sival_int = 100});
    ::pthread_sigqueue(::pthread_self(), rt, {.sival_int = 101});
    wait_released();
    sigset_t usr1, real_time;
    ::sigemptyset(&usr1);
    ::sigemptyset(&real_time);
    ::sigaddset(&usr1, SIGUSR1);
    ::sigaddset(&real_time, rt);
    expect(take(usr1), SIGUSR1, SI_TKILL, 0);
    expect(take(real_time), rt, SI_QUEUE, 100);
    expect(take(real_time), rt, SI_QUEUE, 101);
  });
  ::usleep(20'000);
  REQUIRE(::kill(::getpid(), SIGTERM) == 0);
  REQUIRE(::kill(::getpid(), SIGINT) == 0);
  for (int i = 0; i < 5; ++i) REQUIRE(::sigqueue(::getpid(), rt + 1, {.sival_int = i}) == 0);
  ::raise(SIGUSR2);
  await_waiting(1);
  checkpoint_here();
  other.join();
  sigset_t set = all;
  ::sigdelset(&set, SIGKILL);
  expect(take(set), SIGUSR2, SI_TKILL, 0);  // a thread's own come first
  expect(take(set), SIGINT, SI_USER, 0);    // then by number
  expect(take(set), SIGTERM, SI_USER, 0);
  for (int i = 0; i < 5; ++i) expect(take(set), rt + 1, SI_QUEUE, i);
  CHECK_EQ(take(set).si_signo, -1);
}
