// SPDX-License-Identifier: Apache-2.0
// Clocks of other processes' CPU time: their dynamic ids (include/linux/posix-timers_types.h).
#pragma once

#include <cstdint>
#include <ctime>

#include "bpf/records.h"

namespace bpfckpt::collect {

inline constexpr int kCpuProf = 0;       // user and system time
inline constexpr int kCpuVirt = 1;       // user time
inline constexpr int kCpuSched = 2;      // what the scheduler accounted
inline constexpr int kCpuPerThread = 4;  // of a thread, not its group

inline clockid_t cpu_clock(std::uint32_t pid, int which) {
  return static_cast<clockid_t>((~pid << 3) | static_cast<unsigned>(which));
}

inline bool is_cpu_clock(int clock) {
  return clock < 0 || clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID;
}

// The clock that a timer's expiry is measured by, seen from here: its own "this process" is the timer's
// owner.
inline clockid_t timer_clock(const timer_record& timer) {
  if (!is_cpu_clock(timer.clock)) return timer.expires_clock;
  const bool per_thread =
      timer.clock < 0 ? (timer.clock & kCpuPerThread) != 0 : timer.clock == CLOCK_THREAD_CPUTIME_ID;
  const int which = timer.clock < 0 ? timer.clock & 3 : kCpuSched;
  return cpu_clock(timer.cpu_pid, which | (per_thread ? kCpuPerThread : 0));
}

// The same for the clock of an interrupted sleep.
inline clockid_t sleep_clock(const task_record& task, int clock) {
  if (!is_cpu_clock(clock)) return clock;
  const bool own = clock >= 0 || (clock >> 3) == -1;  // pid 0: its own
  const bool per_thread = clock < 0 ? (clock & kCpuPerThread) != 0 : clock == CLOCK_THREAD_CPUTIME_ID;
  const int which = clock < 0 ? clock & 3 : kCpuSched;
  const std::uint32_t pid =
      own ? (per_thread ? task.tid : task.tgid) : ~static_cast<std::uint32_t>(clock >> 3);
  return cpu_clock(pid, which | (per_thread ? kCpuPerThread : 0));
}

}  // namespace bpfckpt::collect
