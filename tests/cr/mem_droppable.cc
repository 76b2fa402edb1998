// SPDX-License-Identifier: Apache-2.0
// Memory that the kernel may drop whenever it likes (MAP_DROPPABLE): it is there and can be used, and what
// was in it is gone, as the states of random numbers must be that live there. That it is as droppable as
// before is compared from outside ("dp" in VmFlags).
#include "harness/cr_memory.h"

cr::Options cr::options() {
  return {.ignore = {"*/memory"}};  // what is dropped differs
}

void cr::test() {
  constexpr int kMapDroppable = 0x08;  // since 6.11
  void* made = ::mmap(nullptr, 8 * kPage, PROT_READ | PROT_WRITE, kMapDroppable | MAP_ANONYMOUS, -1, 0);
  if (made == MAP_FAILED) skip("droppable-memory");
  char* area = static_cast<char*>(made);
  fill(area, 1);
  char* wiped = map(kPage);
  fill(wiped, 3);
  REQUIRE(::madvise(wiped, kPage, MADV_WIPEONFORK) == 0);
  Child earlier([&] {
    wait_released();
    CHECK(zero(area) && zero(wiped));
  });
  await_waiting(1);
  checkpoint_here();
  earlier.join();
  CHECK(zero(area));
  CHECK(filled(wiped, 3));
  // As with any of its kind a child sees nothing of it.
  fill(area, 2);
  CHECK(filled(area, 2));
  Child later([&] { CHECK(zero(area) && zero(wiped)); });
  later.join();
}
