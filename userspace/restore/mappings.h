// SPDX-License-Identifier: Apache-2.0
// What the planners of memory ask of one mapping.
#pragma once

#include <sys/mman.h>

#include <algorithm>

#include "model/vm_flags.h"
#include "model/vmas.h"
#include "restore/planner.h"

namespace bpfckpt::restore {

inline int protection(const pb::Vma& vma) {
  int prot = 0;
  if (vma.flags() & vm::kRead) prot |= PROT_READ;
  if (vma.flags() & vm::kWrite) prot |= PROT_WRITE;
  if (vma.flags() & vm::kExec) prot |= PROT_EXEC;
  return prot;
}

// Where there are protection keys, the kernel takes one for the first mapping that may be executed only,
// whichever is free just then: such mappings are made readable, and mprotect() comes when it is that key's
// turn (plan_keys()).
inline bool takes_execute_only_key(const pb::AddressSpace& mm, const pb::Vma& vma) {
  return mm.execute_only_key() != 0 && vma.kind() != pb::SPECIAL && protection(vma) == PROT_EXEC;
}

// Must it be writable for a moment: because pages are read into it, or because it once was: the memory of a
// private mapping is accounted when it is or becomes writable (mm/vma.c, mm/mprotect.c), and stays so when it
// is made read-only.
inline bool writable_first(const pb::AddressSpace& mm, const pb::Vma& vma) {
  if (!is_private(vma)) return false;
  if (vma.flags() & vm::kAccount) return true;
  auto it = std::ranges::partition_point(
      mm.pages(), [&](const pb::PageRun& run) { return run.start() + run.count() * kPage <= vma.start(); });
  return it != mm.pages().end() && it->start() < vma.end();
}

// vdso_plan.cc: brings vDSO and its data from the arena (or, `parent_mm` not null, from where the parent has
// them) to where the process had them. Precondition: check_special_mappings().
void plan_special_mappings(Planning& planning, Actor pid, const pb::AddressSpace& mm,
                           const pb::AddressSpace* parent_mm);

}  // namespace bpfckpt::restore
