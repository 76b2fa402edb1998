// SPDX-License-Identifier: Apache-2.0
// Timerfds: every clock, armed or not, set as a time or as a span, with an interval or without, and what they
// say that nobody has read yet.
#include <poll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "harness/cr_memory.h"

namespace {

int make(clockid_t clock, const itimerspec& when, int settime_flags = 0, int flags = TFD_NONBLOCK) {
  const int fd = ::timerfd_create(clock, flags);
  REQUIRE(fd >= 0);
  REQUIRE(::timerfd_settime(fd, settime_flags, &when, nullptr) == 0);
  return fd;
}

// So far from now.
timespec at(clockid_t clock, int seconds) {
  timespec time{};
  REQUIRE(::clock_gettime(clock, &time) == 0);
  time.tv_sec += seconds;
  return time;
}

void await_expiry(int fd) {
  pollfd poll{fd, POLLIN, 0};
  REQUIRE(::poll(&poll, 1, 10'000) == 1);
}

itimerspec left(int fd) {
  itimerspec now{};
  CHECK_EQ(::timerfd_gettime(fd, &now), 0);
  return now;
}

void expect_left(int fd, int seconds, int interval_s) {
  const itimerspec now = left(fd);
  CHECK(now.it_value.tv_sec <= seconds && now.it_value.tv_sec > seconds - 50);
  CHECK_EQ(now.it_interval.tv_sec, interval_s);
}

std::uint64_t expiries(int fd) {
  std::uint64_t count = 0;
  const ssize_t n = ::read(fd, &count, sizeof(count));
  if (n < 0 && errno == EAGAIN) return 0;
  CHECK_EQ(n, static_cast<ssize_t>(sizeof(count)));
  return count;
}

}  // namespace

void cr::test() {
  const int span = make(CLOCK_MONOTONIC, {{7, 0}, {100, 500'000'000}});
  const int time = make(CLOCK_MONOTONIC, {{0, 0}, at(CLOCK_MONOTONIC, 200)}, TFD_TIMER_ABSTIME);
  const int boot = make(CLOCK_BOOTTIME, {{9, 0}, {300, 0}});
  const int wall_span = make(CLOCK_REALTIME, {{0, 0}, {400, 0}});
  const timespec appointment = at(CLOCK_REALTIME, 500);
  const int wall = make(CLOCK_REALTIME, {{11, 0}, appointment}, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET);
  const int fresh = ::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  const int only_interval = make(CLOCK_REALTIME, {{5, 0}, {0, 0}});
  const int once = make(CLOCK_MONOTONIC, {{0, 0}, {0, 1}}, 0, 0);
  const int past = make(CLOCK_REALTIME, {{0, 0}, {1000, 0}}, TFD_TIMER_ABSTIME);
  const int read_once = make(CLOCK_MONOTONIC, {{0, 0}, {0, 1}});
  const int often = make(CLOCK_MONOTONIC, {{0, 1'000'000}, {0, 1'000'000}});
  // Asking makes it run on with what is unread.
  const int asked = make(CLOCK_MONOTONIC, {{600, 0}, {0, 1}});
  // An appointment every hour of which some were missed.
  const int daily =
      make(CLOCK_REALTIME, {{3600, 0}, at(CLOCK_REALTIME, -2 * 3600 - 1800)}, TFD_TIMER_ABSTIME);
  for (const int fd : {once, past, read_once, often, asked, daily}) await_expiry(fd);
  CHECK_EQ(expiries(read_once), 1U);
  expect_left(asked, 600, 600);
  const timespec nap{0, 30'000'000};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, nullptr);
  const int twin = ::dup(once);
  checkpoint_here();
  expect_left(span, 101, 7);
  expect_left(time, 200, 0);
  expect_left(boot, 300, 9);
  expect_left(wall_span, 400, 0);
  expect_left(wall, 500, 11);
  // The time, not the span, was kept: what is left is exact.
  const itimerspec rest = left(wall);
  const timespec now = at(CLOCK_REALTIME, 0);
  const double off = static_cast<double>(appointment.tv_sec - now.tv_sec - rest.it_value.tv_sec) +
                     static_cast<double>(appointment.tv_nsec - now.tv_nsec - rest.it_value.tv_nsec) * 1e-9;
  CHECK(off > -1 && off <= 0);
  for (const int fd : {fresh, only_interval, read_once}) {
    CHECK_EQ(left(fd).it_value.tv_sec, 0);
    CHECK_EQ(left(fd).it_value.tv_nsec, 0);
    CHECK_EQ(expiries(fd), 0U);
  }
  CHECK_EQ(left(only_interval).it_interval.tv_sec, 5);
  CHECK_EQ(expiries(twin), 1U);
  CHECK_EQ(::fcntl(once, F_SETFL, O_NONBLOCK), 0);
  CHECK_EQ(expiries(once), 0U);
  CHECK_EQ(expiries(past), 1U);
  CHECK(expiries(often) >= 30);
  await_expiry(often);
  CHECK_EQ(expiries(asked), 1U);
  expect_left(asked, 600, 600);
  CHECK_EQ(expiries(daily), 3U);
  CHECK_EQ(expiries(daily), 0U);
  expect_left(daily, 1800, 3600);
}

cr::Options cr::options() {
  // They count, and those that stood still are told to go on.
  return {.ignore = {"*/it_value", "*/ticks"}};
}
