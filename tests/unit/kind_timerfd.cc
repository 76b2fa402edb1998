// SPDX-License-Identifier: Apache-2.0
// What an image may say of a timerfd, and what it may not.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/timerfd.h>

#include <functional>

#include "bpf/records.h"
#include "harness/kind_plan.h"
#include "images/kinds/eventfd.pb.h"
#include "images/kinds/timerfd.pb.h"

using namespace bpfckpt;
using kind_plan::file_with;
using kind_plan::text_of;

namespace {

pb::Timerfd make(int clock, std::uint32_t settime_flags = 0) {
  pb::Timerfd timerfd;
  timerfd.set_clock(clock);
  timerfd.set_settime_flags(settime_flags);
  return timerfd;
}

// What the model says of a timer that was to expire at 1,000 ns, looked at when it is 5,500.
pb::Timerfd described(std::uint32_t flags, std::uint64_t ticks, std::uint64_t interval_ns) {
  file_record record{};
  timerfd_record& timer = record.detail.timerfd;
  timer.clock = timer.expires_clock = CLOCK_MONOTONIC;
  timer.expires_ns = 1000;
  timer.now_ns = 5500;
  timer.interval_ns = interval_ns;
  timer.ticks = ticks;
  timer.flags = flags;
  pb::File file;
  pb::Timerfd timerfd;
  REQUIRE(kinds::find("timerfd")->describe(record, file, nullptr).has_value());
  REQUIRE(file.detail().UnpackTo(&timerfd));
  return timerfd;
}

}  // namespace

TEST_CASE("a timer that stands still is counted on, as a read would have") {
  pb::Timerfd timerfd = described(TIMERFD_EXPIRED, 1, 1000);
  CHECK(timerfd.ticks() == 5);  // at 1,000, 2,000, ... 5,000
  CHECK(timerfd.remaining_ns() == 500);
  timerfd = described(TIMERFD_EXPIRED, 3, 10'000);  // two before it was asked
  CHECK(timerfd.ticks() == 3);
  CHECK(timerfd.remaining_ns() == 5500);
  timerfd = described(TIMERFD_EXPIRED, 1, INT64_MAX);
  CHECK(timerfd.ticks() == 1);
  CHECK(timerfd.remaining_ns() == INT64_MAX - 5500);
  timerfd = described(TIMERFD_EXPIRED, 1, 0);
  CHECK(timerfd.ticks() == 1);
  CHECK(timerfd.remaining_ns() == 0);
  timerfd = described(TIMERFD_QUEUED, 2, 1000);  // late
  CHECK(timerfd.ticks() == 2);
  CHECK(timerfd.remaining_ns() == 1);
  CHECK(described(0, 0, 1000).remaining_ns() == 0);
  CHECK(described(TIMERFD_CANCELLED, 1, 0).cancelled());
}

TEST_CASE("unread expiries are set after the time") {
  pb::Timerfd timerfd = make(CLOCK_MONOTONIC);
  timerfd.set_remaining_ns(1);
  std::string text = text_of(file_with("timerfd", timerfd));
  CHECK(text.find("timerfd_settime") != std::string::npos);
  CHECK(text.find("ioctl") == std::string::npos);
  timerfd.set_ticks(3);
  text = text_of(file_with("timerfd", timerfd, O_RDWR | O_NONBLOCK));
  CHECK(text.find("ioctl") > text.find("timerfd_settime"));
  CHECK(text.find("fcntl") == std::string::npos);
}

TEST_CASE("numbers at their ends") {
  for (std::uint64_t interval : {std::uint64_t{1}, std::uint64_t{INT64_MAX}})
    for (std::uint64_t value : {std::uint64_t{1}, std::uint64_t{INT64_MAX}}) {
      pb::Timerfd timerfd = make(CLOCK_BOOTTIME_ALARM, TFD_TIMER_ABSTIME);
      timerfd.set_interval_ns(interval);
      timerfd.set_remaining_ns(value);
      timerfd.set_ticks(UINT64_MAX);
      CHECK(text_of(file_with("timerfd", timerfd)).find("timerfd_settime") != std::string::npos);
      timerfd.set_clock(CLOCK_REALTIME);
      timerfd.set_remaining_ns(0);
      timerfd.set_expires_ns(value);
      CHECK(text_of(file_with("timerfd", timerfd)).find("timerfd_settime") != std::string::npos);
    }
}

TEST_CASE("a damaged timerfd is refused") {
  const std::function<void(pb::Timerfd&)> kDamages[] = {
      [](auto& t) { t.set_clock(CLOCK_PROCESS_CPUTIME_ID); },
      [](auto& t) { t.set_clock(-6); },
      [](auto& t) { t.set_settime_flags(4); },
      [](auto& t) { t.set_interval_ns(1ULL << 63); },
      [](auto& t) { t.set_remaining_ns(UINT64_MAX); },
      [](auto& t) { t.set_expires_ns(1); },  // CLOCK_MONOTONIC has no appointments
      [](auto& t) { t.set_cancelled(true); },
      [](auto& t) { t = make(CLOCK_REALTIME, TFD_TIMER_ABSTIME), t.set_remaining_ns(1); },
  };
  for (const auto& damage : kDamages) {
    CAPTURE(&damage - kDamages);
    pb::Timerfd timerfd = make(CLOCK_MONOTONIC);
    damage(timerfd);
    CHECK(text_of(file_with("timerfd", timerfd)).starts_with("bad image: timerfd: "));
  }
  CHECK(text_of(file_with("timerfd", pb::Eventfd())).starts_with("bad image: timerfd: its details"));
}
