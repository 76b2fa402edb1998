// SPDX-License-Identifier: Apache-2.0
// 64 GiB of address space of which a thousand pages are in use.
#include "harness/cr_memory.h"

void cr::test() {
  constexpr std::size_t kBytes = 64UL << 30;
  char* area = map(kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  REQUIRE(::madvise(area, kBytes, MADV_NOHUGEPAGE) == 0);
  for (std::uint32_t i = 0; i < 1000; ++i) fill(area + i * (kBytes / 1000 / kPage * kPage), i);
  checkpoint_here();
  for (std::uint32_t i = 0; i < 1000; ++i) CHECK(filled(area + i * (kBytes / 1000 / kPage * kPage), i));
  CHECK(zero(area + kBytes - kPage));
}
