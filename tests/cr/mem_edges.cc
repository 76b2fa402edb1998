// SPDX-License-Identifier: Apache-2.0
// Mappings at the lowest and highest addresses that a process may have, and where restorers like to put
// themselves.
#include "harness/cr_memory.h"

void cr::test() {
  const std::uintptr_t places[] = {0x10000,        0x400000,       0x10000000,     0x7fffffff0000 - 0x1000000,
                                   0x7fffffffe000, 0x100000000,    0x200000000000, 0x550000000000,
                                   0x7f0000000000, 0x6fffffffe000, 0x500000000000, 0x3fff00000000};
  std::vector<char*> areas;
  for (const std::uintptr_t place : places) {
    void* area = ::mmap(reinterpret_cast<void*>(place), kPage, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (area == MAP_FAILED) continue;  // vm.mmap_min_addr, or the program itself is there
    fill(static_cast<char*>(area), place >> 12);
    areas.push_back(static_cast<char*>(area));
  }
  CHECK(areas.size() >= 8);
  checkpoint_here();
  for (char* area : areas) CHECK(filled(area, reinterpret_cast<std::uintptr_t>(area) >> 12));
}
