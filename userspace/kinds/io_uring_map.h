// SPDX-License-Identifier: Apache-2.0
// Descriptors by which a thread of the restored tree reaches a file, for registering and mapping.
#pragma once

#include "kinds/kind.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {

struct HeldDescriptor {
  Operand fd;             // in the thread
  bool borrowed = false;  // is none of the thread's own: to be closed again by who asked for it
};

// Adds to the plan what `actor`, a thread of process `pid`, needs to reach the file: nothing where its table
// has it.
Result<HeldDescriptor> hold_descriptor(PlanBuilder& plan, const Installed& installed, Actor actor,
                                       std::uint32_t pid, std::uint32_t file_id);

}  // namespace bpfckpt::kinds
