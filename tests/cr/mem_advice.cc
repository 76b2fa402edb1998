// SPDX-License-Identifier: Apache-2.0
// What madvise and mlock leave behind on a mapping; the flags themselves are compared from outside, here is
// what they do: a locked area is resident, advice for fork is followed by a fork after the restore, and
// MCL_FUTURE locks on.
#include "harness/cr_memory.h"

void cr::test() {
  const int advice[] = {MADV_DONTFORK,   MADV_DONTDUMP, MADV_HUGEPAGE,   MADV_NOHUGEPAGE,
                        MADV_SEQUENTIAL, MADV_RANDOM,   MADV_WIPEONFORK, MADV_MERGEABLE};
  char* area[8];
  for (int i = 0; i < 8; ++i) {
    area[i] = map(8 * kPage);
    fill(area[i], i);
    // Merging may not be built into the kernel.
    if (::madvise(area[i], 8 * kPage, advice[i]) != 0)
      REQUIRE(advice[i] == MADV_MERGEABLE && errno == EINVAL);
  }
  char* locked = map(16 * kPage);
  char* on_fault = map(16 * kPage);
  char* no_reserve = map(16 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
  fill(no_reserve, 50);
  REQUIRE(::mlock(locked, 16 * kPage) == 0);
  fill(on_fault, 40);
  REQUIRE(::mlock2(on_fault, 16 * kPage, MLOCK_ONFAULT) == 0);
  REQUIRE(::mlockall(MCL_FUTURE) == 0);
  checkpoint_here();
  for (int i = 0; i < 8; ++i) CHECK(filled(area[i], i));
  CHECK(filled(on_fault, 40) && filled(no_reserve, 50));
  unsigned char resident[16];
  REQUIRE(::mincore(locked, 16 * kPage, resident) == 0);
  for (const unsigned char page : resident) CHECK_EQ(page & 1, 1);
  REQUIRE(::mincore(on_fault, 16 * kPage, resident) == 0);
  CHECK_EQ(resident[9] & 1, 0);
  char* later = map(4 * kPage);
  REQUIRE(::mincore(later, 4 * kPage, resident) == 0);
  CHECK_EQ(resident[3] & 1, 1);
  Child child([&] {
    CHECK(!readable(area[0]));
    CHECK(zero(area[6]));
    CHECK(filled(area[1], 1));
  });
  child.join();
}
