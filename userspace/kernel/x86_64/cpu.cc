// SPDX-License-Identifier: Apache-2.0
#include "kernel/cpu.h"

#include <cpuid.h>

#include <cstddef>
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

// Instructions that programs use, by what /proc/cpuinfo calls them. Not those that only a kernel does, and
// not those that are no more than faster.
enum Register : std::uint8_t { kEax, kEbx, kEcx, kEdx };
struct Instruction {
  const char* name;
  Leaf leaf;
  Register reg;
  std::uint8_t bit;
};
constexpr Leaf kBasic = {1, 0}, kStructured = {7, 0}, kStructured1 = {7, 1}, kXsave = {0xd, 1},
               kExtended = {0x80000001, 0};
constexpr Instruction kInstructions[] = {
    {"sse3", kBasic, kEcx, 0},
    {"pclmulqdq", kBasic, kEcx, 1},
    {"ssse3", kBasic, kEcx, 9},
    {"fma", kBasic, kEcx, 12},
    {"cx16", kBasic, kEcx, 13},
    {"sse4_1", kBasic, kEcx, 19},
    {"sse4_2", kBasic, kEcx, 20},
    {"movbe", kBasic, kEcx, 22},
    {"popcnt", kBasic, kEcx, 23},
    {"aes", kBasic, kEcx, 25},
    {"xsave", kBasic, kEcx, 26},
    {"avx", kBasic, kEcx, 28},
    {"f16c", kBasic, kEcx, 29},
    {"rdrand", kBasic, kEcx, 30},
    {"tsc", kBasic, kEdx, 4},
    {"cmov", kBasic, kEdx, 15},
    {"clflush", kBasic, kEdx, 19},
    {"mmx", kBasic, kEdx, 23},
    {"fxsr", kBasic, kEdx, 24},
    {"sse", kBasic, kEdx, 25},
    {"sse2", kBasic, kEdx, 26},
    {"fsgsbase", kStructured, kEbx, 0},
    {"bmi1", kStructured, kEbx, 3},
    {"hle", kStructured, kEbx, 4},
    {"avx2", kStructured, kEbx, 5},
    {"bmi2", kStructured, kEbx, 8},
    {"rtm", kStructured, kEbx, 11},
    {"mpx", kStructured, kEbx, 14},
    {"avx512f", kStructured, kEbx, 16},
    {"avx512dq", kStructured, kEbx, 17},
    {"rdseed", kStructured, kEbx, 18},
    {"adx", kStructured, kEbx, 19},
    {"avx512ifma", kStructured, kEbx, 21},
    {"clflushopt", kStructured, kEbx, 23},
    {"clwb", kStructured, kEbx, 24},
    {"avx512cd", kStructured, kEbx, 28},
    {"sha_ni", kStructured, kEbx, 29},
    {"avx512bw", kStructured, kEbx, 30},
    {"avx512vl", kStructured, kEbx, 31},
    {"avx512vbmi", kStructured, kEcx, 1},
    {"waitpkg", kStructured, kEcx, 5},
    {"avx512_vbmi2", kStructured, kEcx, 6},
    {"gfni", kStructured, kEcx, 8},
    {"vaes", kStructured, kEcx, 9},
    {"vpclmulqdq", kStructured, kEcx, 10},
    {"avx512_vnni", kStructured, kEcx, 11},
    {"avx512_bitalg", kStructured, kEcx, 12},
    {"avx512_vpopcntdq", kStructured, kEcx, 14},
    {"rdpid", kStructured, kEcx, 22},
    {"cldemote", kStructured, kEcx, 25},
    {"movdiri", kStructured, kEcx, 27},
    {"movdir64b", kStructured, kEcx, 28},
    {"avx512_4vnniw", kStructured, kEdx, 2},
    {"avx512_4fmaps", kStructured, kEdx, 3},
    {"avx512_vp2intersect", kStructured, kEdx, 8},
    {"serialize", kStructured, kEdx, 14},
    {"amx_bf16", kStructured, kEdx, 22},
    {"avx512_fp16", kStructured, kEdx, 23},
    {"amx_tile", kStructured, kEdx, 24},
    {"amx_int8", kStructured, kEdx, 25},
    {"sha512", kStructured1, kEax, 0},
    {"sm3", kStructured1, kEax, 1},
    {"sm4", kStructured1, kEax, 2},
    {"avx_vnni", kStructured1, kEax, 4},
    {"avx512_bf16", kStructured1, kEax, 5},
    {"cmpccxadd", kStructured1, kEax, 7},
    {"amx_fp16", kStructured1, kEax, 21},
    {"avx_ifma", kStructured1, kEax, 23},
    {"xsaveopt", kXsave, kEax, 0},
    {"xsavec", kXsave, kEax, 1},
    {"lahf_lm", kExtended, kEcx, 0},
    {"abm", kExtended, kEcx, 5},
    {"sse4a", kExtended, kEcx, 6},
    {"3dnowprefetch", kExtended, kEcx, 8},
    {"xop", kExtended, kEcx, 11},
    {"fma4", kExtended, kEcx, 16},
    {"tbm", kExtended, kEcx, 21},
    {"rdtscp", kExtended, kEdx, 27},
};

// Components of XCR0: Intel's manual, volume 1, 13.1.
constexpr struct {
  const char* name;
  std::uint64_t bits;
} kState[] = {{"x87 registers", 1},       {"SSE registers", 2},        {"AVX registers", 4},
              {"MPX registers", 0x18},    {"AVX-512 registers", 0xe0}, {"protection keys", 0x200},
              {"AMX registers", 0x60000}, {"APX registers", 0x80000}};

std::uint32_t word(const CpuFeatures& features, Leaf leaf, Register reg) {
  constexpr std::size_t kWords = 6;
  for (std::size_t i = 0; i + kWords <= features.cpuid.size(); i += kWords)
    if (features.cpuid[i] == leaf.leaf && features.cpuid[i + 1] == leaf.subleaf)
      return features.cpuid[i + 2 + reg];
  return 0;
}

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

std::vector<std::string> missing_instructions(const CpuFeatures& had, const CpuFeatures& here) {
  std::vector<std::string> names;
  for (const Instruction& one : kInstructions)
    if ((word(had, one.leaf, one.reg) & ~word(here, one.leaf, one.reg)) >> one.bit & 1)
      names.emplace_back(one.name);
  return names;
}

std::vector<std::string> missing_state(const CpuFeatures& had, const CpuFeatures& here) {
  std::vector<std::string> names;
  for (const auto& [name, bits] : kState)
    if ((had.xfeatures & ~here.xfeatures & bits) != 0) names.emplace_back(name);
  return names;
}

bool same_model(const CpuFeatures& a, const CpuFeatures& b) {
  for (Register reg : {kEbx, kEcx, kEdx})
    if (word(a, {0, 0}, reg) != word(b, {0, 0}, reg)) return false;
  return word(a, kBasic, kEax) == word(b, kBasic, kEax);
}

}  // namespace bpfckpt::kernel
