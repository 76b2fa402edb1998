// SPDX-License-Identifier: Apache-2.0
// Where the network lock's programs are attached: in the best way that the kernel has.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace bpfckpt::kernel {

enum class LockMethod { Netfilter, Tcx, Clsact };
std::string_view to_string(LockMethod method);
// Asks the kernel, as this process with its privileges.
bool has_netfilter_links();
bool has_tcx_links();

// What is attached, with the switch of its own.
struct LockHooks {
  Fd state;
  std::vector<Fd> links;
  std::uint32_t classifier_priority = 0;  // of this lock alone; 0: none
};

// To the calling thread's network namespace; nothing is left on failure. `programs`: those of the method,
// `state` their map.
Result<LockHooks> attach_lock_programs(LockMethod method, Fd state, const std::vector<Fd>& programs);
// Of classifiers, which stay when nobody holds them; in the namespace in which they were attached.
void detach_classifiers(LockHooks& hooks);

}  // namespace bpfckpt::kernel
