// SPDX-License-Identifier: Apache-2.0
// Files behind mappings and executables: they need a descriptor of the right access for a moment, not the
// description that some process holds.
#pragma once

#include "plan/builder.h"

namespace bpfckpt::kinds {

// A shared mapping that may become writable needs a file opened for writing (mm/mmap.c: VM_MAYWRITE).
bool needs_write(const pb::Vma& vma);

// Makes bpfckpt open it, once for each file and access.
Result<void> plan_mapped_file(PlanBuilder& plan, const pb::Vma& vma);
Result<void> plan_exe_file(PlanBuilder& plan, std::uint32_t file_id);

// The descriptor that the above made, or null.
const Operand* mapped_file(const PlanBuilder& plan, const pb::Vma& vma);
const Operand* exe_file(const PlanBuilder& plan, std::uint32_t file_id);

}  // namespace bpfckpt::kinds
