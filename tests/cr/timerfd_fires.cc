// SPDX-License-Identifier: Apache-2.0
// Whoever waits for a timer in a read or a poll is told when it comes, and sees no EINTR; an alarm clock's
// timer comes too.
#include <poll.h>
#include <sys/timerfd.h>

#include "harness/cr_test.h"

namespace {

int make(clockid_t clock, const itimerspec& when) {
  const int fd = ::timerfd_create(clock, 0);
  if (fd < 0 && errno == EPERM) return -1;  // CAP_WAKE_ALARM
  REQUIRE(fd >= 0 && ::timerfd_settime(fd, 0, &when, nullptr) == 0);
  return fd;
}

std::uint64_t take(int fd) {
  std::uint64_t count = 0;
  CHECK_EQ(::read(fd, &count, sizeof(count)), 8);
  return count;
}

}  // namespace

void cr::test() {
  // Long enough for both cycles to find it running.
  const int single = make(CLOCK_MONOTONIC, {{0, 0}, {5, 0}});
  const int repeated = make(CLOCK_BOOTTIME, {{0, 50'000'000}, {5, 0}});
  const int alarm = make(CLOCK_REALTIME_ALARM, {{0, 0}, {5, 0}});
  Child reader([&] { CHECK_EQ(take(single), 1U); });
  Child poller([&] {
    pollfd poll{repeated, POLLIN, 0};
    CHECK_EQ(::poll(&poll, 1, -1), 1);
    for (int i = 0; i < 3; ++i) CHECK(take(repeated) >= 1);
  });
  wait_in_syscall(reader.pid(), SYS_read);
  wait_in_syscall(poller.pid(), SYS_poll);
  checkpoint_here();
  reader.join();
  poller.join();
  if (alarm >= 0) CHECK_EQ(take(alarm), 1U);
}

cr::Options cr::options() {
  return {.ignore = {"*/it_value", "*/ticks"}};
}
