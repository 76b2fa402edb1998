// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "plan/builder.h"

namespace bpfckpt::kinds {

// Mappings that the kernel places where it likes and lets nobody move: io_uring refuses any address
// (io_uring/memmap.c:io_uring_get_unmapped_area(), since 6.5), of mmap(2) and of mremap(2) alike. It takes
// the only gap that is large enough: so, for a moment, all other gaps are filled.
struct PlacedMapping {
  std::uint64_t start = 0;  // page-aligned; a placeholder is there, of this length
  std::uint64_t len = 0;
  int protection = 0;
  Operand fd;  // in the process
  std::uint64_t offset = 0;
};

// Adds to the plan that process `pid`, of address space `mm`, maps them. Precondition: everything in `mm` is
// in its place, and nothing else but the control area.
void place_exactly(PlanBuilder& plan, Actor pid, const pb::AddressSpace& mm,
                   std::vector<PlacedMapping> mappings);

}  // namespace bpfckpt::kinds
