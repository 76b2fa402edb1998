// SPDX-License-Identifier: Apache-2.0
// Sleeps, relative and absolute, are neither cut short nor ended by EINTR.
#include <time.h>

#include <array>
#include <atomic>
#include <thread>

#include "harness/cr_test.h"

namespace {

double now() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

// Long enough to be caught in the middle of; where all is slow that takes longer.
time_t length_s() {
  return cr::patience() > 1 ? 12 : 2;
}

}  // namespace

void cr::test() {
  const timespec length{length_s(), 0};
  std::array<std::atomic<pid_t>, 3> tids{};
  auto measured = [&](int number, auto sleep) {
    return [=, &tids] {
      tids[number] = gettid();
      timespec left{77, 77};
      const double start = now();
      CHECK_EQ(static_cast<long>(sleep(&left)), 0L);
      CHECK(now() - start >= static_cast<double>(length_s()));
      // Any interruption of a relative sleep, such as a stop, leaves the rest of its time there.
      if (number == 2) CHECK_EQ(left.tv_sec, 77);
    };
  };
  std::thread relative(measured(0, [=](timespec* left) { return ::syscall(SYS_nanosleep, &length, left); }));
  std::thread clock(
      measured(1, [=](timespec* left) { return ::clock_nanosleep(CLOCK_BOOTTIME, 0, &length, left); }));
  std::thread absolute(measured(2, [](timespec* left) {
    timespec until;
    ::clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += length_s();
    return ::clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, left);
  }));
  for (const std::atomic<pid_t>& tid : tids) {
    while (tid == 0) ::usleep(1000);
    wait_in_syscall(tid, -1);
  }
  checkpoint_here();
  relative.join();
  clock.join();
  absolute.join();
}

cr::Options cr::options() {
  // Threads whose time is up end while the runner is looking.
  return {.ignore = {"*/thread/*", "*/tids", "*/shares/*", "*/map/*", "*/memory"}};
}
