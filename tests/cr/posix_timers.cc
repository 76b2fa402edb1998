// SPDX-License-Identifier: Apache-2.0
// POSIX timers: ids with a gap, every way of notifying, several clocks, armed or not, and the signal that one
// sends after the restore carries its value.
#include <signal.h>
#include <time.h>

#include "harness/cr_test.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

namespace {

// The kernel's ids, which glibc hides behind pointers for SIGEV_THREAD only.
int make(clockid_t clock, int notify, int signal, int value) {
  sigevent event{};
  event.sigev_notify = notify;
  event.sigev_signo = signal;
  event.sigev_value.sival_int = value;
  if (notify == SIGEV_THREAD_ID) event.sigev_notify_thread_id = cr::gettid();
  int id = -1;
  REQUIRE(::syscall(SYS_timer_create, clock, &event, &id) == 0);
  return id;
}

void arm(int id, const itimerspec& when) {
  REQUIRE(::syscall(SYS_timer_settime, id, 0, &when, nullptr) == 0);
}

itimerspec left(int id) {
  itimerspec now{};
  CHECK_EQ(::syscall(SYS_timer_gettime, id, &now), 0);
  return now;
}

}  // namespace

void cr::test() {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGRTMIN + 1);
  ::sigaddset(&blocked, SIGRTMIN + 2);
  REQUIRE(::sigprocmask(SIG_BLOCK, &blocked, nullptr) == 0);
  const int signal = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 1, 41);
  const int gone = make(CLOCK_REALTIME, SIGEV_SIGNAL, SIGRTMIN + 1, 42);
  const int thread = make(CLOCK_REALTIME, SIGEV_THREAD_ID, SIGRTMIN + 2, 43);
  const int none = make(CLOCK_BOOTTIME, SIGEV_NONE, 0, 44);
  const int cpu = make(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGRTMIN + 1, 45);
  const int idle = make(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 1, 46);
  REQUIRE(::syscall(SYS_timer_delete, gone) == 0);
  arm(signal, {{7, 500'000'000}, {100, 250'000'000}});
  arm(thread, {{0, 0}, {200, 0}});
  arm(none, {{1, 0}, {300, 0}});
  arm(cpu, {{3, 0}, {50, 0}});
  checkpoint_here();
  itimerspec now = left(signal);
  CHECK(now.it_value.tv_sec <= 100 && now.it_value.tv_sec > 60);
  CHECK(now.it_interval.tv_sec == 7 && now.it_interval.tv_nsec == 500'000'000);
  now = left(thread);
  CHECK(now.it_value.tv_sec <= 200 && now.it_value.tv_sec > 160 && now.it_interval.tv_sec == 0);
  now = left(none);
  CHECK(now.it_value.tv_sec <= 300 && now.it_value.tv_sec > 260 && now.it_interval.tv_sec == 1);
  now = left(cpu);
  CHECK(now.it_value.tv_sec <= 50 && now.it_value.tv_sec > 40 && now.it_interval.tv_sec == 3);
  now = left(idle);
  CHECK(now.it_value.tv_sec == 0 && now.it_value.tv_nsec == 0);
  CHECK_EQ(::syscall(SYS_timer_gettime, gone, &now), -1);
  for (const auto& [id, number, value] : {std::tuple{signal, SIGRTMIN + 1, 41}, {thread, SIGRTMIN + 2, 43}}) {
    arm(id, {{0, 0}, {0, 1'000'000}});
    siginfo_t info{};
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, number);
    const timespec limit{5, 0};
    CHECK_EQ(::sigtimedwait(&set, &info, &limit), number);
    CHECK_EQ(info.si_code, SI_TIMER);
    CHECK_EQ(info.si_value.sival_int, value);
    CHECK_EQ(info.si_timerid, id);
  }
}
