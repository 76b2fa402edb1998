// SPDX-License-Identifier: Apache-2.0
// What the CPU offers to programs: a checkpoint says what it was taken on, a restore compares.
#pragma once

#include <cstdint>
#include <vector>

namespace bpfckpt::kernel {

struct CpuFeatures {
  // As the manifest keeps it: six words each, leaf, subleaf, eax, ebx, ecx, edx.
  std::vector<std::uint32_t> cpuid;
  std::uint64_t xfeatures = 0;   // state components that the kernel has switched on (XCR0)
  std::uint32_t xsave_size = 0;  // bytes of the extended state with all of them
};

CpuFeatures cpu_features();

}  // namespace bpfckpt::kernel
