// SPDX-License-Identifier: Apache-2.0
// Guard regions (MADV_GUARD_INSTALL, since 6.13): no mapping of their own, but touching one is a fault.
#include <sys/ioctl.h>

#include "harness/cr_memory.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

namespace {

// Before 6.16 nobody can tell them from swapped pages.
bool told() {
  struct {
    std::uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    std::uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
  } scan{};
  scan.size = sizeof scan;
  scan.category_mask = scan.return_mask = 1 << 8;  // PAGE_IS_GUARD
  const int pagemap = ::open("/proc/self/pagemap", O_RDONLY);
  const bool known = ::ioctl(pagemap, _IOWR('f', 16, decltype(scan)) /*PAGEMAP_SCAN*/, &scan) >= 0;
  ::close(pagemap);
  return known;
}

}  // namespace

void cr::test() {
  char* area = map(64 * kPage);
  if (::madvise(area + 8 * kPage, 4 * kPage, MADV_GUARD_INSTALL) != 0) skip("guard-regions");
  if (!told()) skip("guard-scan");
  REQUIRE(::madvise(area + 63 * kPage, kPage, MADV_GUARD_INSTALL) == 0);
  for (int i = 0; i < 64; i += 3) {
    if (readable(area + i * kPage)) fill(area + i * kPage, i);
  }
  checkpoint_here();
  for (int i = 0; i < 64; ++i) {
    const bool guarded = (i >= 8 && i < 12) || i == 63;
    CHECK_EQ(readable(area + i * kPage), !guarded);
    if (!guarded && i % 3 == 0) CHECK(filled(area + i * kPage, i));
  }
}
