// SPDX-License-Identifier: Apache-2.0
// What the CPU offers to programs: a checkpoint says what it was taken on, a restore compares.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bpfckpt::kernel {

struct CpuFeatures {
  // As the manifest keeps it: six words each, leaf, subleaf, eax, ebx, ecx, edx.
  std::vector<std::uint32_t> cpuid;
  std::uint64_t xfeatures = 0;   // state components that the kernel has switched on (XCR0)
  std::uint32_t xsave_size = 0;  // bytes of the extended state with all of them
};

CpuFeatures cpu_features();

// Names of instructions that programs may have found on `had` and do not find on `here`.
std::vector<std::string> missing_instructions(const CpuFeatures& had, const CpuFeatures& here);
// The same of registers that the kernel switches on.
std::vector<std::string> missing_state(const CpuFeatures& had, const CpuFeatures& here);
// The same vendor, family, model and stepping?
bool same_model(const CpuFeatures& a, const CpuFeatures& b);

}  // namespace bpfckpt::kernel
