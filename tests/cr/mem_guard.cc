// SPDX-License-Identifier: Apache-2.0
// Guard regions (MADV_GUARD_INSTALL, since 6.13): no mapping of their own, but touching one is a fault.
#include "harness/cr_memory.h"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#endif

void cr::test() {
  char* area = map(64 * kPage);
  if (::madvise(area + 8 * kPage, 4 * kPage, MADV_GUARD_INSTALL) != 0) skip("guard-regions");
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
