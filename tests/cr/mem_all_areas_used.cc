// SPDX-License-Identifier: Apache-2.0
// ctest-timeout: 180
// A process that has as many mappings as the kernel allows: nothing more can be mapped into it, so that it
// could be read, but never made again. It is refused while it lives.
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
    // The last one that still fits, from elsewhere.
    while (::mmap(nullptr, kPage, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
    }
    wait_released();
    CHECK(filled(area + kPage, 1));
    CHECK(::mmap(nullptr, kPage, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  });
  await_waiting(1);
  checkpoint_here();
  child.join();
}

cr::Options cr::options() {
  return {.refused = "vm.max_map_count"};
}
