// SPDX-License-Identifier: Apache-2.0
// VM_* bits of vm_area_struct.vm_flags as the image keeps them (include/linux/mm.h). Bits 0 to 31 are the
// same in all kernels from 6.1 to 7.3 on x86-64; the collector translates what moved.
#pragma once

#include <cstdint>

namespace bpfckpt::vm {

inline constexpr std::uint64_t kRead = 0x1;
inline constexpr std::uint64_t kWrite = 0x2;
inline constexpr std::uint64_t kExec = 0x4;
inline constexpr std::uint64_t kShared = 0x8;
inline constexpr std::uint64_t kMayRead = 0x10;
inline constexpr std::uint64_t kMayWrite = 0x20;
inline constexpr std::uint64_t kMayExec = 0x40;
inline constexpr std::uint64_t kMayShare = 0x80;
inline constexpr std::uint64_t kGrowsDown = 0x100;
inline constexpr std::uint64_t kUffdMissing = 0x200;
inline constexpr std::uint64_t kPfnMap = 0x400;
inline constexpr std::uint64_t kUffdWp = 0x1000;
inline constexpr std::uint64_t kLocked = 0x2000;
inline constexpr std::uint64_t kIo = 0x4000;
inline constexpr std::uint64_t kSequentialRead = 0x8000;
inline constexpr std::uint64_t kRandomRead = 0x10000;
inline constexpr std::uint64_t kDontCopy = 0x20000;
inline constexpr std::uint64_t kDontExpand = 0x40000;
inline constexpr std::uint64_t kLockOnFault = 0x80000;
inline constexpr std::uint64_t kAccount = 0x100000;
inline constexpr std::uint64_t kNoReserve = 0x200000;
inline constexpr std::uint64_t kHugeTlb = 0x400000;
inline constexpr std::uint64_t kSync = 0x800000;
inline constexpr std::uint64_t kWipeOnFork = 0x2000000;
inline constexpr std::uint64_t kDontDump = 0x4000000;
inline constexpr std::uint64_t kMixedMap = 0x10000000;
inline constexpr std::uint64_t kHugePage = 0x20000000;
inline constexpr std::uint64_t kNoHugePage = 0x40000000;
inline constexpr std::uint64_t kMergeable = 0x80000000;

// Protection key, x86: VM_PKEY_BIT0 to 3 (arch/x86 since 4.6).
inline constexpr std::uint64_t kProtectionKey = std::uint64_t{0xf} << 32;
inline constexpr std::uint32_t key(std::uint64_t flags) {
  return static_cast<std::uint32_t>((flags & kProtectionKey) >> 32);
}

// mseal(2), since 6.10: bit 63, later bit 42; the other one is not used for anything in either.
inline constexpr std::uint64_t kSealed = std::uint64_t{1} << 63 | std::uint64_t{1} << 42;

// MAP_DROPPABLE, since 6.11.
inline constexpr std::uint64_t kDroppable = std::uint64_t{1} << 40;

// What mmap(2)'s own arguments decide and nothing later changes.
inline constexpr std::uint64_t kMadeByMmap = kShared | kMayShare | kGrowsDown | kHugeTlb | kDroppable;

}  // namespace bpfckpt::vm
