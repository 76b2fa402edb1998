// SPDX-License-Identifier: Apache-2.0
// Eight thousand mappings of alternating protection, side by side.
#include "harness/cr_memory.h"

void cr::test() {
  constexpr int kAreas = 8000;
  char* area = map(kAreas * kPage);
  for (int i = 0; i < kAreas; i += 3) fill(area + i * kPage, i);
  for (int i = 0; i < kAreas; i += 2) REQUIRE(::mprotect(area + i * kPage, kPage, PROT_READ) == 0);
  checkpoint_here();
  for (int i = 0; i < kAreas; ++i) CHECK(i % 3 == 0 ? filled(area + i * kPage, i) : zero(area + i * kPage));
}
