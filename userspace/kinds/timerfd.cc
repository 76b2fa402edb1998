// SPDX-License-Identifier: Apache-2.0
// Timerfds: a timer behind one description, and a count of expiries that nobody has read.
//
// A timer of an interval stands still from its first expiry until somebody reads or asks; the periods that
// passed meanwhile are counted then (fs/timerfd.c:timerfd_read()). Here they are counted when the tree is
// looked at, which comes to the same for the reader. A wall clock's time that was set as such
// (TFD_TIMER_ABSTIME) stays what it was; every other expiry comes as long after the restore as it would have
// come after the dump, since the clocks of another boot or machine have nothing to do with those of this one.
// Kept: clock, interval, unread expiries, the flags it was set with. Not kept: that TFD_TIMER_CANCEL_ON_SET
// has something to tell, which no call can bring about, and which is refused.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>

#include <algorithm>

#include "bpf/records.h"
#include "images/kinds/timerfd.pb.h"
#include "kinds/anonymous.h"
#include "kinds/kind.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

constexpr unsigned long kSetTicks = _IOW('T', 0, std::uint64_t);  // linux/timerfd.h: TFD_IOC_SET_TICKS
constexpr std::uint64_t kMostNs = INT64_MAX;                      // KTIME_MAX

// Whose time goes on while nobody is restored, and means the same on every machine.
bool is_wall_clock(std::int64_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM;
}

std::int64_t read_clock(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

// The time of the timer's own clock when it was looked at.
std::int64_t now_of(const timerfd_record& timer) {
  if (timer.expires_clock == CLOCK_BOOTTIME) return timer.now_boot_ns;
  if (timer.expires_clock == CLOCK_REALTIME)  // BPF has no helper for it
    return timer.now_ns + (read_clock(CLOCK_REALTIME) - read_clock(CLOCK_MONOTONIC));
  return timer.now_ns;
}

// Moves an expiry beyond `after_ns`, by whole intervals (not 0); how many.
std::uint64_t forward(std::uint64_t& expires_ns, std::uint64_t interval_ns, std::uint64_t after_ns) {
  if (expires_ns > after_ns) return 0;
  std::uint64_t periods = (after_ns - expires_ns) / interval_ns + 1;
  expires_ns += (periods - 1) * interval_ns;
  expires_ns += std::min(interval_ns, kMostNs - std::min(kMostNs, expires_ns));
  return periods;
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const timerfd_record& timer = record.detail.timerfd;
  pb::Timerfd timerfd;
  timerfd.set_clock(timer.clock);
  timerfd.set_settime_flags(timer.settime_flags);
  timerfd.set_interval_ns(timer.interval_ns);
  timerfd.set_cancelled((timer.flags & TIMERFD_CANCELLED) != 0);
  auto expires_ns = static_cast<std::uint64_t>(timer.expires_ns);
  auto now_ns = static_cast<std::uint64_t>(now_of(timer));
  std::uint64_t ticks = timer.ticks;
  bool stands_still = (timer.flags & TIMERFD_EXPIRED) != 0 && timer.interval_ns != 0;
  // The expiry that made it stand still is among its ticks already.
  if (stands_still) ticks += std::max<std::uint64_t>(1, forward(expires_ns, timer.interval_ns, now_ns)) - 1;
  timerfd.set_ticks(ticks);
  if (stands_still || (timer.flags & TIMERFD_QUEUED) != 0) {
    if (timer.expires_clock == CLOCK_REALTIME && (timer.settime_flags & TFD_TIMER_ABSTIME) != 0)
      timerfd.set_expires_ns(std::max<std::uint64_t>(1, expires_ns));
    else
      timerfd.set_remaining_ns(expires_ns > now_ns ? expires_ns - now_ns : 1);
  }
  file.mutable_detail()->PackFrom(timerfd);
  return {};
}

Result<void> check(const pb::Timerfd& timerfd) {
  constexpr std::int64_t kClocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME_ALARM,
                                      CLOCK_BOOTTIME_ALARM};
  if (std::ranges::find(kClocks, timerfd.clock()) == std::end(kClocks))
    return fail(Error::bad_image(fmt::format("timerfd: clock {}", timerfd.clock())));
  if (timerfd.settime_flags() & ~std::uint32_t{TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET})
    return fail(Error::bad_image(fmt::format("timerfd: flags {:#x}", timerfd.settime_flags())));
  if (timerfd.interval_ns() > kMostNs || timerfd.remaining_ns() > kMostNs || timerfd.expires_ns() > kMostNs)
    return fail(Error::bad_image("timerfd: a time beyond the kernel's"));
  bool absolute = is_wall_clock(timerfd.clock()) && (timerfd.settime_flags() & TFD_TIMER_ABSTIME) != 0;
  if ((timerfd.expires_ns() != 0 && !absolute) || (timerfd.remaining_ns() != 0 && absolute))
    return fail(Error::bad_image("timerfd: an expiry that its clock does not have"));
  if (timerfd.cancelled()) return fail(Error::bad_image("timerfd: cancelled, which cannot be brought about"));
  return {};
}

timespec timespec_of(std::uint64_t ns) {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

// TFD_IOC_SET_TICKS sets a count that a timer which expires before it would only add to. So one with unread
// expiries must not expire within this time after it is set; those that would come before nobody runs again
// are counted at once.
constexpr std::uint64_t kQuietNs = 10'000'000;

// timerfd_settime(2)'s value; the expiries that it leaves out are added to `ticks`.
itimerspec value_of(const Environment& environment, const pb::Timerfd& timerfd, std::uint64_t& ticks) {
  bool on_wall = timerfd.expires_ns() != 0;
  std::uint64_t value_ns = on_wall ? timerfd.expires_ns() : timerfd.remaining_ns();
  clockid_t clock = is_wall_clock(timerfd.clock())       ? CLOCK_REALTIME
                    : timerfd.clock() == CLOCK_MONOTONIC ? CLOCK_MONOTONIC
                                                         : CLOCK_BOOTTIME;
  auto now_ns = static_cast<std::uint64_t>(std::max<std::int64_t>(0, environment.clock_ns(clock)));
  if (value_ns != 0 && timerfd.interval_ns() != 0 && ticks != 0)
    ticks += forward(value_ns, timerfd.interval_ns(), kQuietNs + (on_wall ? now_ns : 0));
  if (value_ns != 0 && !on_wall && (timerfd.settime_flags() & TFD_TIMER_ABSTIME) != 0)
    value_ns = std::min(kMostNs, value_ns + now_ns);
  return {timespec_of(timerfd.interval_ns()), timespec_of(value_ns)};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(pb::Timerfd timerfd, unpack<pb::Timerfd>(file.detail(), "timerfd"));
  TRY(check(timerfd));
  std::uint32_t nonblock = file.flags() & O_NONBLOCK;
  OpId fd = plan.call(kSelf, SYS_timerfd_create, {timerfd.clock(), TFD_CLOEXEC | nonblock}, "timerfd");
  std::uint64_t ticks = timerfd.ticks();
  itimerspec value = value_of(plan.environment(), timerfd, ticks);
  plan.call(kSelf, SYS_timerfd_settime,
            {Operand::result(fd), timerfd.settime_flags(), Operand::data(plan.bytes_of(value)), 0});
  if (ticks != 0)
    plan.call(kSelf, SYS_ioctl, {Operand::result(fd), kSetTicks, Operand::data(plan.bytes_of(ticks))},
              "unread expiries");
  plan_anonymous(plan, file, fd, nonblock);
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto timerfd = unpack<pb::Timerfd>(file.detail(), "timerfd");
  if (timerfd && timerfd->cancelled())
    return {Verdict::Unsupported, "timerfd-cancelled",
            "the clock was set and its reader has not been told (TFD_TIMER_CANCEL_ON_SET), which cannot be "
            "brought about again",
            ""};
  return {};
}

}  // namespace

extern const Kind kTimerfd = {
    .name = "timerfd",
    .kept =
        "clock, what is left (an absolute time of the wall clock stays one), interval, expiries that were "
        "not read, flags of setting",
    .not_kept = "the phase of an interval to less than the time between dump and restore",
    .refused = "an unread cancellation (TFD_TIMER_CANCEL_ON_SET)",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose,
};

}  // namespace bpfckpt::kinds
