// SPDX-License-Identifier: Apache-2.0
// Areas that grow downwards go on growing, a new one and the main stack, which has many pages in use.
#include "harness/cr_memory.h"

namespace {

// Uses the stack so deep that its pages must come back, and has them checked on the way up.
int deep(int level, void (*bottom)()) {
  volatile char page[cr::kPage];
  cr::fill(const_cast<char*>(page), level);
  const int below = level == 0 ? (bottom(), 0) : deep(level - 1, bottom);
  return below + (cr::filled(const_cast<char*>(page), level) ? 1 : 0);
}

}  // namespace

void cr::test() {
  // Room below, of which the kernel keeps a guard gap of 256 pages free.
  char* room = map(600 * kPage, PROT_NONE);
  REQUIRE(::munmap(room, 600 * kPage) == 0);
  char* stack =
      map(4 * kPage, PROT_READ | PROT_WRITE,
          MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE, -1, 0, room + 590 * kPage);
  fill(stack, 1);
  CHECK_EQ(deep(500, checkpoint_here), 501);
  CHECK(filled(stack, 1));
  CHECK(zero(stack + kPage));
  for (int i = 1; i < 200; ++i) fill(stack - i * kPage, i);
  for (int i = 1; i < 200; ++i) CHECK(filled(stack - i * kPage, i));
}
