// SPDX-License-Identifier: Apache-2.0
// A descriptor of a process that is no more.
#pragma once

#include "base/fd.h"
#include "base/result.h"

namespace bpfckpt::target {

// Makes a process that ends with the wait4(2) status `wait_status`, opens a pidfd with `pidfd_flags` of it,
// and waits for it, so that nothing but the descriptor is left. That it dumped core is not repeated.
Result<Fd> open_dead_process(int wait_status, unsigned pidfd_flags);

}  // namespace bpfckpt::target
