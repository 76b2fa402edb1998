// SPDX-License-Identifier: Apache-2.0
// Shared anonymous memory between three processes: one object, also where each maps another part of it, or
// with another protection; holes stay holes.
#include "harness/cr_memory.h"

void cr::test() {
  char* area = map(256 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  char* unrelated = map(4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  for (int i = 0; i < 256; i += 7) fill(area + i * kPage, i);
  fill(unrelated, 5);
  Child half([&] {
    REQUIRE(::munmap(area, 128 * kPage) == 0);
    wait_released();
    CHECK(filled(area + 133 * kPage, 133));
    while (area[200 * kPage] != 'p') ::usleep(1000);
    area[201 * kPage] = 'h';
  });
  Child reader([&] {
    REQUIRE(::mprotect(area, 256 * kPage, PROT_READ) == 0);
    wait_released();
    while (area[201 * kPage] != 'h') ::usleep(1000);
    CHECK(filled(area, 0) && filled(unrelated, 5));
    REQUIRE(::mprotect(area, kPage, PROT_READ | PROT_WRITE) == 0);
    area[1] = 'r';
  });
  await_waiting(2);
  // The root knows only the middle of it in the end.
  REQUIRE(::munmap(area + 250 * kPage, 6 * kPage) == 0);
  checkpoint_here();
  for (int i = 0; i < 250; i += 7) CHECK(filled(area + i * kPage, i));
  unsigned char resident[250];
  CHECK_EQ(::mincore(area, 250 * kPage, resident), 0);
  CHECK_EQ(resident[8] & 1, 0);
  area[200 * kPage] = 'p';
  half.join();
  reader.join();
  CHECK(area[201 * kPage] == 'h' && area[1] == 'r');
}
