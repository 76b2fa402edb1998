// SPDX-License-Identifier: Apache-2.0
// Private anonymous memory: written pages, holes, zeroed pages, and data behind every protection.
#include "harness/cr_memory.h"

void cr::test() {
  constexpr int kPages = 2000;
  char* area = map(kPages * kPage);
  ::madvise(area, kPages * kPage, MADV_NOHUGEPAGE);  // where they come unasked, they would fill the holes
  for (int i = 0; i < kPages; i += 1 + i % 5) fill(area + i * kPage, i);
  std::memset(map(16 * kPage), 0, 16 * kPage);
  const int protections[] = {
      PROT_NONE, PROT_READ, PROT_EXEC, PROT_READ | PROT_EXEC, PROT_WRITE, PROT_READ | PROT_WRITE | PROT_EXEC};
  char* protected_area[6];
  for (int i = 0; i < 6; ++i) {
    protected_area[i] = map(3 * kPage);
    fill(protected_area[i] + kPage, 7000 + i);
    REQUIRE(::mprotect(protected_area[i], 3 * kPage, protections[i]) == 0);
  }
  checkpoint_here();
  int next = 0;
  for (int i = 0; i < kPages; ++i) {
    if (i == next) {
      CHECK(filled(area + i * kPage, i));
      next += 1 + i % 5;
    } else {
      CHECK((pagemap_entry(area + i * kPage) & kPagePresent) == 0);  // no memory was spent on holes
      CHECK(zero(area + i * kPage));
    }
  }
  CHECK(!readable(protected_area[0] + kPage));
  for (int i = 0; i < 6; ++i) {
    REQUIRE(::mprotect(protected_area[i], 3 * kPage, PROT_READ) == 0);
    CHECK(zero(protected_area[i]) && filled(protected_area[i] + kPage, 7000 + i) &&
          zero(protected_area[i] + 2 * kPage));
  }
}
