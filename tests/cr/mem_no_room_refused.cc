// SPDX-License-Identifier: Apache-2.0
// A process without any free range of addresses could be dumped, but not restored: it is refused while it
// lives.
#include "harness/cr_memory.h"

void cr::test() {
  Child child([] {
    for (std::size_t size = std::size_t{1} << 46; size >= std::size_t{1} << 21; size >>= 1)
      while (::mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) !=
             MAP_FAILED) {
      }
    wait_released();
  });
  await_waiting(1);
  checkpoint_here();
  child.join();
}

cr::Options cr::options() {
  return {.refused = "no range of addresses is free"};
}
