// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>

namespace bpfckpt::kernel {

// include/uapi/linux/sched/types.h: struct sched_attr, with the utilization clamps of 5.3.
struct SchedAttr {
  std::uint32_t size = sizeof(SchedAttr), policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0, deadline = 0, period = 0;
  std::uint32_t util_min = 0, util_max = 0;
};
static_assert(sizeof(SchedAttr) == 56);

// include/uapi/linux/sched.h: SCHED_FLAG_*
inline constexpr std::uint64_t kSchedResetOnFork = 1, kSchedKeepAll = 8 | 16, kSchedUtilMin = 32,
                               kSchedUtilMax = 64;

// Of a thread, in 1024ths of the fastest processor.
struct Clamps {
  static constexpr std::uint32_t kMost = 1024;
  std::uint32_t min = 0, max = kMost;
  bool operator==(const Clamps&) const = default;
};

// The calling thread's, or none: without CONFIG_UCLAMP_TASK. Whether they were set, or are the usual ones,
// they do not tell.
std::optional<Clamps> own_clamps();
// Back to the system's clamps, and nothing else.
SchedAttr without_clamps();

}  // namespace bpfckpt::kernel
