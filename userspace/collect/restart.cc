// SPDX-License-Identifier: Apache-2.0
// Four families of calls return -ERESTART_RESTARTBLOCK: the sleeps, futex(FUTEX_WAIT*) with a timeout, poll,
// and nothing else (grep for set_restart_fn() in the kernel). Which one a thread is in is told by the call's
// number, unless it was interrupted again inside restart_syscall(2) itself: then only restart_block.fn tells,
// which the iterator looks up (bpf/task.h).
#include "collect/restart.h"

#include <linux/futex.h>
#include <sys/syscall.h>

#include <ctime>

#include "bpf/restart.h"

namespace bpfckpt::collect {
namespace {

restart_function function_of(const task_record& task) {
  switch (task.orig_ax) {
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
      return RESTART_SLEEP;
    case SYS_futex:
      return RESTART_FUTEX;
    case SYS_poll:
      return RESTART_POLL;
    default:
      return static_cast<restart_function>(task.restart.function);
  }
}

// In-kernel flags of a futex call (kernel/futex/futex.h), renumbered in 6.7 ("futex: Add flags2"): the bit
// that says that there is a timeout is always set in a restart_block, and tells the numbering.
struct FutexFlags {
  bool shared;
  bool realtime;
};
FutexFlags futex_flags(std::uint32_t flags) {
  constexpr std::uint32_t kSince67Timeout = 0x40, kSince67Shared = 0x10, kSince67Realtime = 0x20;
  constexpr std::uint32_t kOldShared = 0x1, kOldRealtime = 0x2;
  if ((flags & kSince67Timeout) != 0) return {(flags & kSince67Shared) != 0, (flags & kSince67Realtime) != 0};
  return {(flags & kOldShared) != 0, (flags & kOldRealtime) != 0};
}

Restart sleep(const restart_part& block) {
  return {.call = SYS_clock_nanosleep,
          .args = {static_cast<std::uint64_t>(block.sleep_clock), 0, 0, block.sleep_rmtp},
          .clock = block.sleep_clock,
          .expires_ns = block.sleep_expires_ns};
}

// A relative FUTEX_WAIT has become an absolute wait; FUTEX_WAIT_BITSET says the same to the kernel.
Restart futex(const restart_part& block) {
  const FutexFlags flags = futex_flags(block.futex_flags);
  std::uint64_t operation = FUTEX_WAIT_BITSET;
  if (!flags.shared) operation |= FUTEX_PRIVATE_FLAG;
  if (flags.realtime) operation |= FUTEX_CLOCK_REALTIME;
  return {.call = SYS_futex,
          .args = {block.futex_uaddr, operation, block.futex_val, 0, 0, block.futex_bitset},
          .clock = flags.realtime ? CLOCK_REALTIME : CLOCK_MONOTONIC,
          .expires_ns = block.futex_time_ns};
}

Restart poll(const restart_part& block) {
  return {.call = SYS_poll,
          .args = {block.poll_ufds, block.poll_nfds, block.poll_has_timeout != 0 ? 0 : ~0ULL},
          .clock = CLOCK_MONOTONIC,
          .expires_ns = static_cast<std::uint64_t>(block.poll_end_ns),
          .timeless = block.poll_has_timeout == 0};
}

}  // namespace

std::optional<Restart> interrupted_call(const task_record& task) {
  if (task.ax != -ERESTART_RESTARTBLOCK_) return std::nullopt;
  switch (function_of(task)) {
    case RESTART_SLEEP:
      return sleep(task.restart);
    case RESTART_FUTEX:
      return futex(task.restart);
    case RESTART_POLL:
      return poll(task.restart);
    case RESTART_UNKNOWN:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace bpfckpt::collect
