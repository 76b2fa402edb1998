// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace bpfckpt {

// The obstacle (pb::Process) that says that a process is a thread of the kernel.
inline constexpr const char* kKernelThread = "kernel-thread";

}  // namespace bpfckpt
