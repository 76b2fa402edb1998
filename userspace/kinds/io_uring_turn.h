// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "images/kinds/io_uring.pb.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {

// A ring in the hands of the thread that may submit to it: its descriptor there, and where its shared memory
// is mapped for the moment.
struct HeldRing {
  Actor thread = 0;
  Operand fd;
  OpId rings = 0;  // operations that mapped them
  OpId entries = 0;

  Operand word(std::uint32_t offset) const { return Operand::result(rings, offset); }
};

// Adds to the plan what brings a new ring, with nothing submitted yet, to the counts of `ring`. Leaves the
// shared memory in any state but that the counts there are right.
void turn_ring(PlanBuilder& plan, const HeldRing& held, const pb::IoUring& ring);

}  // namespace bpfckpt::kinds
