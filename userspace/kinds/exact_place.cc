// SPDX-License-Identifier: Apache-2.0
#include "kinds/exact_place.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>

namespace bpfckpt::kinds {
namespace {

constexpr std::uint64_t kLowest = 0x1000, kHighest = 0x7ffffffff000;  // TASK_SIZE_MAX, four-level page tables

struct Gap {
  std::uint64_t start = 0, end = 0;
};

// Where nothing is of the model, and not the control area.
std::vector<Gap> gaps_of(const Plan& plan, const pb::AddressSpace& mm) {
  auto is_here = [&](const pb::Vma& vma) {
    return vma.start() < kHighest &&
           !(plan.keeps_staging && vma.kind() == pb::SPECIAL && vma.name() != "[vdso]");
  };
  auto is_vdso = [](const pb::Vma& vma) { return vma.kind() == pb::SPECIAL && vma.name() == "[vdso]"; };
  // Another kernel's vDSO leads to this one's, which stays where it waited, with its data.
  const bool staged = plan.keeps_staging && std::ranges::any_of(mm.vmas(), is_vdso);
  std::vector<Gap> used{{plan.arena_base, staged ? plan.arena_end : plan.staging_base}};
  for (const pb::Vma& vma : mm.vmas())
    if (is_here(vma)) used.push_back({vma.start(), vma.end()});
  std::ranges::sort(used, {}, &Gap::start);
  std::vector<Gap> gaps;
  std::uint64_t at = kLowest;
  for (const Gap& it : used) {
    if (it.start > at) gaps.push_back({at, it.start});
    at = std::max(at, it.end);
  }
  if (at < kHighest) gaps.push_back({at, kHighest});
  return gaps;
}

}  // namespace

void place_exactly(PlanBuilder& plan, Actor pid, const pb::AddressSpace& mm,
                   std::vector<PlacedMapping> mappings) {
  if (mappings.empty()) return;
  const std::uint64_t shortest = std::ranges::min(mappings, {}, &PlacedMapping::len).len;
  std::vector<Gap> gaps = gaps_of(plan.plan(), mm);
  // A small gap beside a placeholder would make its own too large.
  std::erase_if(gaps, [&](const Gap& gap) {
    return gap.end - gap.start < shortest && std::ranges::none_of(
                                                 mappings,
                                                 [&](const PlacedMapping& it) {
                                                   return it.start + it.len == gap.start ||
                                                          it.start == gap.end;
                                                 });
  });
  constexpr int kFiller = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
  auto fill = [&](Operand start, Operand len) {
    // The lowest pages may be forbidden (vm.mmap_min_addr), to the kernel's choice as well.
    plan.try_call(pid, SYS_mmap, {start, len, PROT_NONE, kFiller, -1, 0}, "no room here");
  };
  for (const Gap& gap : gaps) fill(gap.start, gap.end - gap.start);
  const DataId rest = plan.free_arena();
  fill(Operand::wide(rest), Operand::wide(rest, 8));
  for (const PlacedMapping& it : mappings) {
    plan.call(pid, SYS_munmap, {it.start, it.len}, "the only gap");
    plan.call_expecting(pid, it.start, SYS_mmap, {0, it.len, it.protection, MAP_SHARED, it.fd, it.offset},
                        "mapping");
  }
  for (const Gap& gap : gaps) plan.call(pid, SYS_munmap, {gap.start, gap.end - gap.start});
  plan.call(pid, SYS_munmap, {Operand::wide(rest), Operand::wide(rest, 8)});
}

}  // namespace bpfckpt::kinds
