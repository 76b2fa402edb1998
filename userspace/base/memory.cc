// SPDX-License-Identifier: Apache-2.0
#include "base/memory.h"

#include <malloc.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <climits>
#include <cstdint>
#include <cstdlib>

namespace bpfckpt {
namespace {

std::byte* next_huge_page(std::byte* address) {
  return address + (-reinterpret_cast<std::uintptr_t>(address) % kHugePageBytes);
}

Result<std::byte*> map(std::size_t len_bytes) {
  void* base = ::mmap(nullptr, len_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return fail(Error::system("mmap"));
  return static_cast<std::byte*>(base);
}

Result<Mapping> map_huge(std::size_t len_bytes) {
  const std::size_t mapped = len_bytes + kHugePageBytes;
  TRY_ASSIGN(std::byte * base, map(mapped));
  std::byte* aligned = next_huge_page(base);
  if (aligned != base) ::munmap(base, static_cast<std::size_t>(aligned - base));
  std::byte* end = aligned + len_bytes;
  if (end != base + mapped) ::munmap(end, static_cast<std::size_t>(base + mapped - end));
  ::madvise(aligned, len_bytes, MADV_HUGEPAGE);
  return Mapping(aligned, len_bytes);
}

Result<Mapping> map_small(std::size_t len_bytes) {
  TRY_ASSIGN(std::byte * base, map(len_bytes));
  return Mapping(base, len_bytes);
}

bool is_unlimited(__rlimit_resource resource) {
  rlimit limit{};
  return ::getrlimit(resource, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

}  // namespace

Result<Mapping> map_populated(std::size_t len_bytes) {
  auto memory = len_bytes > kHugePageBytes / 2
                    ? map_huge((len_bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes)
                    : map_small(len_bytes);
  if (!memory) memory = map_small(len_bytes);
  if (memory) ::madvise(memory->data(), memory->size(), MADV_POPULATE_WRITE);
  return memory;
}

void keep_freed_memory() {
  ::mallopt(M_TRIM_THRESHOLD, INT_MAX);
  ::mallopt(M_MMAP_THRESHOLD, 32 << 20);  // glibc's own limit
  // Each freed run of 64 KiB would have the small blocks that are kept for quick reuse (beyond those of the
  // thread's own cache) merged: a sixth of the processor time of 20,000 descriptors.
  ::mallopt(M_MXFAST, 0);
}

bool put_heap_in_huge_pages() {
  // glibc does so itself by a tunable (glibc.malloc.hugetlb), which the environment alone can set. The heap
  // is made longer once; of that, only what is used is touched. Where memory is rationed, what may not be
  // needed is not taken.
  if (!is_unlimited(RLIMIT_AS) || !is_unlimited(RLIMIT_DATA)) return false;
  constexpr int kMoreBytes = 256 << 20;
  constexpr std::size_t kBlockBytes = 1 << 20;  // more than there is
  constexpr int kDefaultTopPad = 128 << 10;
  ::mallopt(M_TOP_PAD, kMoreBytes);
  auto* end_before = static_cast<std::byte*>(::sbrk(0));
  // Written to, or the compiler leaves both calls out.
  volatile auto* block = static_cast<std::byte*>(std::malloc(kBlockBytes));
  if (block != nullptr) *block = std::byte{};
  std::free(const_cast<std::byte*>(block));
  ::mallopt(M_TOP_PAD, kDefaultTopPad);
  std::byte* begin = next_huge_page(end_before);
  const auto* end = static_cast<std::byte*>(::sbrk(0));
  return begin < end && ::madvise(begin, static_cast<std::size_t>(end - begin), MADV_HUGEPAGE) == 0;
}

}  // namespace bpfckpt
