// SPDX-License-Identifier: Apache-2.0
#include "kernel/clamps.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace bpfckpt::kernel {

SchedAttr without_clamps() {
  SchedAttr attr;
  attr.flags = kSchedKeepAll | kSchedUtilMin | kSchedUtilMax;
  attr.util_min = attr.util_max = UINT32_MAX;
  return attr;
}

// A kernel that has none leaves both at 0 (kernel/sched/syscalls.c:sched_getattr()), which may also be what
// was set. To set them, as a trial, would switch them on for the whole machine.
std::optional<Clamps> own_clamps() {
  SchedAttr attr;
  if (::syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) != 0 || attr.size < sizeof attr) return {};
  const bool none = attr.util_min == 0 && attr.util_max == 0;
  if (none && ::access("/proc/sys/kernel/sched_util_clamp_max", F_OK) != 0) return {};
  return Clamps{attr.util_min, attr.util_max};
}

}  // namespace bpfckpt::kernel
