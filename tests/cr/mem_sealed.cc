// SPDX-License-Identifier: Apache-2.0
// Sealed mappings (mseal, since 6.10) come back, and come back sealed.
#include "harness/cr_memory.h"

void cr::test() {
  char* area = map(4 * kPage);
  fill(area + kPage, 1);
  REQUIRE(::mprotect(area, 4 * kPage, PROT_READ) == 0);
  constexpr long kMseal = 462;
  if (::syscall(kMseal, area, 4 * kPage, 0) != 0) skip("mseal");
  checkpoint_here();
  CHECK(filled(area + kPage, 1));
  CHECK(::mprotect(area, kPage, PROT_READ | PROT_WRITE) < 0 && errno == EPERM);
  CHECK(::munmap(area, kPage) < 0 && errno == EPERM);
}
