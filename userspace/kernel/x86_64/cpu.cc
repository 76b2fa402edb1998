// SPDX-License-Identifier: Apache-2.0
#include "kernel/cpu.h"

#include <cpuid.h>

#include <iterator>

namespace bpfckpt::kernel {
namespace {

constexpr std::uint32_t kOsxsave = 1u << 27;     // leaf 1, ecx
constexpr std::uint32_t kApicIds = 0xff000000u;  // leaf 1, ebx: the number of the CPU we happen to run on

struct Leaf {
  std::uint32_t leaf, subleaf;
};
// Vendor; family and features; structured features; extended state; extended features.
constexpr Leaf kLeaves[] = {{0, 0}, {1, 0}, {7, 0}, {7, 1}, {0xd, 0}, {0xd, 1}, {0x80000001, 0}};

std::uint64_t read_xcr0() {
  std::uint32_t low, high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return static_cast<std::uint64_t>(high) << 32 | low;
}

}  // namespace

CpuFeatures cpu_features() {
  CpuFeatures features;
  for (const auto& [leaf, subleaf] : kLeaves) {
    std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
    if (__get_cpuid_count(leaf, subleaf, &eax, &ebx, &ecx, &edx) == 0) continue;
    if (leaf == 1) ebx &= ~kApicIds;
    if (leaf == 1 && (ecx & kOsxsave) != 0) features.xfeatures = read_xcr0();
    if (leaf == 0xd && subleaf == 0) features.xsave_size = ebx;
    const std::uint32_t words[] = {leaf, subleaf, eax, ebx, ecx, edx};
    features.cpuid.insert(features.cpuid.end(), std::begin(words), std::end(words));
  }
  return features;
}

}  // namespace bpfckpt::kernel
