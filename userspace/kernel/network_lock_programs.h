// SPDX-License-Identifier: Apache-2.0
// The BPF programs of a network lock, with maps of its own.
//
// Each lock has its own programs, since a program is bound to its maps when it is loaded. libbpf takes 25 ms
// for that, nearly all of it for reading the kernel's types: what it makes of the programs stays in a pinned
// map until the next boot, and the kernel is then given those instructions with other maps (0.5 ms).
#pragma once

#include <cstddef>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/network_lock.h"

namespace bpfckpt::kernel {

struct LockPrograms {
  Fd connections, state;     // maps
  std::vector<Fd> programs;  // of netfilter: the hook's; else: inward, outward
};

// `room`: connections that the map takes. Error::MissingFeature: the kernel takes no such programs.
Result<LockPrograms> load_lock_programs(LockMethod method, std::size_t room);
// The same, of the connections that another lock has, with a state of its own.
Result<LockPrograms> load_lock_programs(LockMethod method, const Fd& connections);

}  // namespace bpfckpt::kernel
