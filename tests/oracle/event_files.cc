// SPDX-License-Identifier: Apache-2.0
// Eventfds and their like against what /proc/PID/fdinfo shows of them.
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "images/kinds/eventfd.pb.h"
#include "images/kinds/signalfd.pb.h"
#include "images/kinds/timerfd.pb.h"
#include "oracle/kind_files.h"

using namespace oracle;

namespace {

int timer(clockid_t clock, const itimerspec& when, int flags = 0) {
  const int fd = ::timerfd_create(clock, TFD_NONBLOCK);
  if (fd < 0 || ::timerfd_settime(fd, flags, &when, nullptr) != 0) ::_exit(1);
  return fd;
}

// "(seconds, nanoseconds)"
std::int64_t ns_of(const std::string& text) {
  long seconds = 0, ns = 0;
  CHECK(std::sscanf(text.c_str(), "(%ld, %ld)", &seconds, &ns) == 2);
  return seconds * 1'000'000'000 + ns;
}

}  // namespace

TEST_CASE("eventfd") {
  Target target([] {
    ::dup2(::eventfd(0, 0), 100);
    ::dup2(::eventfd(0xffffffff, EFD_NONBLOCK | EFD_SEMAPHORE), 101);
    ::dup2(::eventfd(0, EFD_NONBLOCK), 102);
    const std::uint64_t most = UINT64_MAX - 1;
    if (::write(102, &most, sizeof most) != sizeof most) ::_exit(1);
  });
  for_each<bpfckpt::pb::Eventfd>(target, "eventfd", [](const auto& eventfd, Fields& fields) {
    CHECK(eventfd.count() == hex(fields["eventfd-count"]));
    if (auto semaphore = fields.find("eventfd-semaphore"); semaphore != fields.end())  // since 6.6
      CHECK(eventfd.semaphore() == (std::stoul(semaphore->second) != 0));
  });
}

TEST_CASE("timerfd") {
  Target target([] {
    timespec soon{};
    ::clock_gettime(CLOCK_REALTIME, &soon);
    soon.tv_sec += 1000;
    ::dup2(::timerfd_create(CLOCK_MONOTONIC, 0), 100);
    ::dup2(timer(CLOCK_MONOTONIC, {{3, 5}, {100, 0}}), 101);
    ::dup2(timer(CLOCK_BOOTTIME, {{0, 0}, {200, 0}}), 102);
    ::dup2(timer(CLOCK_REALTIME, {{0, 0}, {300, 0}}), 103);
    ::dup2(timer(CLOCK_REALTIME, {{0, 7}, soon}, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET), 104);
    ::dup2(timer(CLOCK_MONOTONIC, {{0, 0}, {0, 1}}), 105);
    ::dup2(timer(CLOCK_REALTIME, {{1, 0}, {0, 0}}), 106);
    for (clockid_t clock : {CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM})  // CAP_WAKE_ALARM
      if (const int fd = ::timerfd_create(clock, 0); fd >= 0) {
        const itimerspec when{{2, 0}, {400, 0}};
        ::timerfd_settime(fd, 0, &when, nullptr);
        ::dup2(fd, 110 + clock);
      }
    pollfd expired{105, POLLIN, 0};
    ::poll(&expired, 1, -1);
  });
  for_each<bpfckpt::pb::Timerfd>(target, "timerfd", [](const auto& timerfd, Fields& fields) {
    CHECK(timerfd.clock() == std::stoi(fields["clockid"]));
    CHECK(timerfd.ticks() == std::stoull(fields["ticks"]));
    CHECK(timerfd.settime_flags() == std::stoul(fields["settime flags"], nullptr, 8));
    CHECK(timerfd.interval_ns() == static_cast<std::uint64_t>(ns_of(fields["it_interval"])));
    CHECK_FALSE(timerfd.cancelled());
    std::int64_t left_ns = static_cast<std::int64_t>(timerfd.remaining_ns());
    if (timerfd.expires_ns() != 0) {
      timespec now{};
      ::clock_gettime(CLOCK_REALTIME, &now);
      left_ns = static_cast<std::int64_t>(timerfd.expires_ns()) - now.tv_sec * 1'000'000'000 - now.tv_nsec;
    }
    // It went on between the two.
    const std::int64_t shown_ns = ns_of(fields["it_value"]);
    CHECK((left_ns == 0) == (shown_ns == 0));
    CHECK(std::abs(left_ns - shown_ns) < 20'000'000'000);
  });
}

TEST_CASE("signalfd") {
  Target target([] {
    for (int i = 0; i < 4; ++i) {
      sigset_t set;
      ::sigemptyset(&set);
      for (int signal : {SIGINT, SIGUSR1, 64})
        if (i != 0) ::sigaddset(&set, signal + i % 2);
      if (i == 3) ::sigfillset(&set);
      ::dup2(::signalfd(-1, &set, i == 1 ? SFD_NONBLOCK : 0), 100 + i);
    }
  });
  for_each<bpfckpt::pb::Signalfd>(target, "signalfd", [](const auto& signalfd, Fields& fields) {
    CHECK(signalfd.mask() == hex(fields["sigmask"]));
  });
}
