// SPDX-License-Identifier: Apache-2.0
#include "kernel/clamps.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

namespace bpfckpt::kernel {

SchedAttr without_clamps() {
  SchedAttr attr;
  attr.flags = kSchedKeepAll | kSchedUtilMin | kSchedUtilMax;
  attr.util_min = attr.util_max = UINT32_MAX;
  return attr;
}

// By a thread of its own, whose clamps nobody misses.
bool has_utilization_clamps() {
  bool taken = false;
  std::thread([&] {
    SchedAttr attr = without_clamps();
    taken = ::syscall(SYS_sched_setattr, 0, &attr, 0) == 0;
  }).join();
  return taken;
}

}  // namespace bpfckpt::kernel
