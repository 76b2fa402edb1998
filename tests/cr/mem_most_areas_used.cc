// SPDX-License-Identifier: Apache-2.0
// ctest-timeout: 180
// A process that has as many mappings as it may have to be restored, which is a few less than the kernel
// allows.
#include <fstream>

#include "harness/cr_memory.h"

void cr::test() {
  int most = 0;
  std::ifstream("/proc/sys/vm/max_map_count") >> most;
  // In a child: the root has to be able to go on when its harness maps something.
  Child child([most] {
    const std::size_t pages = static_cast<std::size_t>(most) + 64;
    char* area = map(pages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE);
    fill(area + kPage, 1);
    std::size_t i = 0;
    while (i < pages && ::mprotect(area + i * kPage, kPage, PROT_READ) == 0) i += 2;
    REQUIRE(i < pages && errno == ENOMEM);
    // Each gives back two.
    for (int undone = 0; undone < 4; ++undone) {
      i -= 2;
      REQUIRE(::mprotect(area + i * kPage, kPage, PROT_READ | PROT_WRITE) == 0);
    }
    wait_released();
    CHECK(filled(area + kPage, 1));
  });
  await_waiting(1);
  checkpoint_here();
  child.join();
}
