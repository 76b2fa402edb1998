// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

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

// Back to the system's clamps, and nothing else.
SchedAttr without_clamps();
// CONFIG_UCLAMP_TASK: asks for what the calling thread has.
bool has_utilization_clamps();

}  // namespace bpfckpt::kernel
