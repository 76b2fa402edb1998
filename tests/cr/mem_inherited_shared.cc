// SPDX-License-Identifier: Apache-2.0
// A private mapping written by a grandparent, parent and child in turn: each generation keeps its own view.
#include "harness/cr_memory.h"

void cr::test() {
  char* area = map(30 * kPage);
  for (int i = 0; i < 30; ++i) fill(area + i * kPage, 100 + i);
  Child parent([&] {
    for (int i = 0; i < 10; ++i) fill(area + i * kPage, 200 + i);
    Child child([&] {
      for (int i = 5; i < 15; ++i) fill(area + i * kPage, 300 + i);
      REQUIRE(::munmap(area + 20 * kPage, 5 * kPage) == 0);
      wait_released();
      for (int i = 0; i < 20; ++i) CHECK(filled(area + i * kPage, (i < 5 ? 200 : i < 15 ? 300 : 100) + i));
      CHECK(!readable(area + 22 * kPage));
      CHECK(filled(area + 29 * kPage, 129));
    });
    REQUIRE(::mprotect(area + 25 * kPage, 5 * kPage, PROT_NONE) == 0);
    wait_released();
    for (int i = 0; i < 25; ++i) CHECK(filled(area + i * kPage, (i < 10 ? 200 : 100) + i));
    CHECK(!readable(area + 26 * kPage));
    child.join();
  });
  // What the root moves away after the fork has no counterpart at its address.
  char* elsewhere = map(4 * kPage);
  REQUIRE(::mremap(area + 16 * kPage, 4 * kPage, 4 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) ==
          elsewhere);
  await_waiting(2);
  checkpoint_here();
  for (int i = 0; i < 30; ++i) {
    const char* page = i >= 16 && i < 20 ? elsewhere + (i - 16) * kPage : area + i * kPage;
    CHECK(filled(page, 100 + i));
  }
  parent.join();
}
