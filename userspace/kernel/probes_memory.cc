// SPDX-License-Identifier: Apache-2.0
// Probes of mappings and of what is in them.
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/prctl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

#include "kernel/memfd.h"
#include "kernel/probes.h"

namespace bpfckpt::kernel {

Presence probe_map_files() {
  auto len_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  Mapping page(::mmap(nullptr, len_bytes, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0), len_bytes);
  if (page.data() == MAP_FAILED) return no_errno();
  auto start = reinterpret_cast<std::uintptr_t>(page.data());
  auto path = fmt::format("/proc/self/map_files/{:x}-{:x}", start, start + len_bytes);
  return Fd(::open(path.c_str(), O_RDWR | O_CLOEXEC)) ? yes() : no_errno();
}

namespace {

// include/uapi/linux/fs.h: struct pm_scan_arg and struct page_region, since 6.7
struct PmScanArg {
  std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  std::uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
static_assert(sizeof(PmScanArg) == 96);

// Nothing is scanned: categories that are not known are refused before.
Presence scan_knows(std::uint64_t categories) {
  const Fd fd(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!fd) return no_errno();
  PmScanArg scan{};
  scan.size = sizeof scan;
  scan.category_mask = scan.return_mask = categories;
  return ::ioctl(fd.get(), _IOWR('f', 16, PmScanArg), &scan) >= 0 ? yes() : no_errno();
}

// Of no memory: only whether the advice is known is looked at (mm/madvise.c:madvise_behavior_valid()).
Presence knows_advice(int advice) {
  return ::madvise(nullptr, 0, advice) == 0 ? yes() : no_errno();
}

Presence userfaultfd_has(std::uint64_t feature) {
  const Fd fd(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC)));
  if (!fd) return no_errno();
  uffdio_api api{UFFD_API, 0, 0};
  if (::ioctl(fd.get(), UFFDIO_API, &api) != 0) return no_errno();
  return (api.features & feature) != 0 ? yes() : no("not among its features");
}

}  // namespace

Presence probe_pagemap_scan() {
  Fd fd(::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
  if (!fd) return no_errno();
  constexpr std::uint64_t kPageIsPresent = 1 << 3;
  struct {
    std::uint64_t start, end, categories;
  } region{};
  auto page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  PmScanArg scan{};
  scan.size = sizeof(scan);
  scan.start = reinterpret_cast<std::uintptr_t>(&region) & ~(page_bytes - 1);
  scan.end = scan.start + page_bytes;
  scan.vec = reinterpret_cast<std::uintptr_t>(&region);
  scan.vec_len = 1;
  scan.category_mask = kPageIsPresent;
  scan.return_mask = kPageIsPresent;
  return ::ioctl(fd.get(), _IOWR('f', 16, PmScanArg), &scan) >= 0 ? yes() : no_errno();
}

Presence probe_userfaultfd() {
  return gives_fd(::syscall(SYS_userfaultfd, O_CLOEXEC));
}

Presence probe_userfaultfd_wp() {
  return userfaultfd_has(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
}
Presence probe_uffd_unpopulated() {
  return userfaultfd_has(1 << 13);  // UFFD_FEATURE_WP_UNPOPULATED
}
Presence probe_uffd_async() {
  return userfaultfd_has(1 << 15);  // UFFD_FEATURE_WP_ASYNC
}

Presence probe_mseal() {
  constexpr long kMseal = 462;
  return known(::syscall(kMseal, 0, 0, 1));
}

Presence probe_mdwe() {
  constexpr int kPrGetMdwe = 66;
  return ::prctl(kPrGetMdwe, 0, 0, 0, 0) >= 0 ? yes() : no_errno();
}

Presence probe_guard_regions() {
  constexpr int kGuardInstall = 102;
  const auto len_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  Mapping page(::mmap(nullptr, len_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), len_bytes);
  if (page.data() == MAP_FAILED) return no_errno();
  return ::madvise(page.data(), len_bytes, kGuardInstall) == 0 ? yes() : no_errno();
}

Presence probe_droppable() {
  constexpr int kMapDroppable = 0x08;
  const auto len_bytes = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  Mapping page(::mmap(nullptr, len_bytes, PROT_READ, kMapDroppable | MAP_ANONYMOUS, -1, 0), len_bytes);
  return page.data() == MAP_FAILED ? no_errno() : yes();
}

Presence probe_protection_keys() {
  const long key = ::syscall(SYS_pkey_alloc, 0, 0);
  if (key < 0) return no_errno();
  ::syscall(SYS_pkey_free, key);
  return yes();
}

Presence probe_memory_policy() {
  return ::syscall(SYS_get_mempolicy, nullptr, nullptr, 0, nullptr, 0) == 0 ? yes() : no_errno();
}

Presence probe_hugetlb() {
  return gives_fd(::syscall(SYS_memfd_create, "probe", MFD_CLOEXEC | MFD_HUGETLB));
}

Presence probe_guard_scan() {
  return scan_knows(1 << 8);  // PAGE_IS_GUARD
}

Presence probe_mdwe_no_inherit() {
  return in_child([] {
    constexpr int kSetMdwe = 65, kRefuseExecGainNoInherit = 1 | 2;
    return ::prctl(kSetMdwe, kRefuseExecGainNoInherit, 0, 0, 0) == 0 ? 0 : errno;
  });
}

Presence probe_mapping_names() {
  // Of no memory.
  return ::prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, nullptr, 0, nullptr) == 0 ? yes() : no_errno();
}

Presence probe_huge_page_advice() {
  return knows_advice(MADV_HUGEPAGE);
}
Presence probe_thp_except_advised() {
  return in_child([] {
    constexpr int kExceptAdvised = 2;  // PR_THP_DISABLE_EXCEPT_ADVISED
    return ::prctl(PR_SET_THP_DISABLE, 1, kExceptAdvised, 0, 0) == 0 ? 0 : errno;
  });
}
Presence probe_mergeable_memory() {
  return knows_advice(MADV_MERGEABLE);
}
Presence probe_memory_merge() {
  constexpr int kGetMemoryMerge = 68;
  return ::prctl(kGetMemoryMerge, 0, 0, 0, 0) >= 0 ? yes() : no_errno();
}

Presence probe_home_node() {
  constexpr long kSetMempolicyHomeNode = 450;  // the same number on every architecture
  constexpr int kNoSuchFlag = 1;
  return complains(::syscall(kSetMempolicyHomeNode, 0, 0, 0, kNoSuchFlag), EINVAL);
}

Presence probe_weighted_policy() {
  return in_child([] {
    constexpr int kMemsAllowed = 4, kWeightedInterleave = 6;  // MPOL_F_MEMS_ALLOWED, MPOL_WEIGHTED_INTERLEAVE
    unsigned long nodes[16] = {};                             // MAX_NUMNODES is at most 1024
    constexpr unsigned long kBits = sizeof nodes * 8;
    if (::syscall(SYS_get_mempolicy, nullptr, nodes, kBits, nullptr, kMemsAllowed) != 0) return errno;
    return ::syscall(SYS_set_mempolicy, kWeightedInterleave, nodes, kBits) == 0 ? 0 : errno;
  });
}

Presence probe_memfd_exec_seal() {
  return memfd_exec_known() ? yes() : no("memfd_create(2) does not know MFD_EXEC");
}

}  // namespace bpfckpt::kernel
