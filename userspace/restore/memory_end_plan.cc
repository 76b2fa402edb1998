// SPDX-License-Identifier: Apache-2.0
// What becomes of an address space when nobody can inherit it any more and its pages are there: protections,
// keys, advice, locks, the mm's fields, and seals.
#include <linux/mman.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>

#include "kinds/memory_file.h"
#include "restore/mappings.h"

namespace bpfckpt::restore {
namespace {

constexpr int kGuardInstall = 102;    // MADV_GUARD_INSTALL, since 6.13
constexpr int kThpExceptAdvised = 2;  // PR_THP_DISABLE_EXCEPT_ADVISED, since 6.18

// Keys are given out in ascending order, so those that the process did not have are taken, too, and given
// back.
void plan_keys(PlanBuilder& plan, Actor pid, const pb::AddressSpace& mm) {
  std::uint32_t wanted = mm.protection_keys();
  for (std::uint32_t key = 1; wanted >> key != 0; key++) {
    auto execute_only =
        std::ranges::find_if(mm.vmas(), [&](const pb::Vma& vma) { return takes_execute_only_key(mm, vma); });
    if (key == mm.execute_only_key() && execute_only != mm.vmas().end())
      plan.call(pid, SYS_mprotect,
                {execute_only->start(), execute_only->end() - execute_only->start(), PROT_EXEC},
                "takes a protection key");
    else
      plan.call_expecting(pid, key, SYS_pkey_alloc, {0, 0}, "protection key");
  }
  for (std::uint32_t key = 1; wanted >> key != 0; key++)
    if (!(wanted >> key & 1)) plan.call(pid, SYS_pkey_free, {key});
}

// madvise(2) behaviours that leave a flag on the mapping.
struct Advice {
  std::uint64_t flag;
  int advice;
};
constexpr Advice kAdvices[] = {
    {vm::kSequentialRead, MADV_SEQUENTIAL}, {vm::kRandomRead, MADV_RANDOM},
    {vm::kDontCopy, MADV_DONTFORK},         {vm::kDontDump, MADV_DONTDUMP},
    {vm::kMergeable, MADV_MERGEABLE},       {vm::kHugePage, MADV_HUGEPAGE},
    {vm::kNoHugePage, MADV_NOHUGEPAGE},     {vm::kWipeOnFork, MADV_WIPEONFORK},
};

}  // namespace

void plan_seals(Planning& planning, const pb::Process& process) {
  const pb::AddressSpace* mm = planning.plan.index().address_space(process.mm_id());
  if (mm == nullptr) return;
  constexpr long kMseal = 462;  // since 6.10
  for (const pb::Vma& vma : mm->vmas())
    if ((vma.flags() & vm::kSealed) && vma.kind() != pb::SPECIAL)
      planning.plan.call(process.pid(), kMseal, {vma.start(), vma.end() - vma.start(), 0}, "seal");
}

Result<void> plan_memory_end(Planning& planning, const pb::Process& process) {
  const pb::AddressSpace* mm = planning.plan.index().address_space(process.mm_id());
  if (mm == nullptr) return {};
  PlanBuilder& plan = planning.plan;
  Actor pid = process.pid();
  TRY(plan_aio_rings(planning, process, *mm), "pid {}", pid);
  // Before any mlock, which guards cannot be put into.
  for (const pb::Extent& guard : mm->guards())
    plan.call(pid, SYS_madvise, {guard.offset(), guard.length(), kGuardInstall}, "guard pages");
  plan_keys(plan, pid, *mm);
  for (const pb::Vma& vma : mm->vmas()) {
    if (vma.kind() == pb::SPECIAL) continue;
    std::uint64_t len = vma.end() - vma.start();
    // An inherited mapping has the parent's protection; saying it again costs nothing where it is right.
    int prot = protection(vma);
    std::uint32_t key = vm::key(vma.flags());
    bool execute_only = takes_execute_only_key(*mm, vma);
    if (key != 0 && !execute_only)
      plan.call(pid, SYS_pkey_mprotect, {vma.start(), len, prot, key});
    else if ((writable_first(*mm, vma) && (prot & (PROT_READ | PROT_WRITE)) != (PROT_READ | PROT_WRITE)) ||
             execute_only || planning.born_with[process.pid()] != 0)
      plan.call(pid, SYS_mprotect, {vma.start(), len, prot});
    for (const Advice& advice : kAdvices)
      if (vma.flags() & advice.flag) plan.call(pid, SYS_madvise, {vma.start(), len, advice.advice});
    if (!vma.name().empty())
      plan.try_call(
          pid, SYS_prctl,
          {PR_SET_VMA, PR_SET_VMA_ANON_NAME, vma.start(), len, Operand::data(plan.text(vma.name()))}, "name");
    if (vma.flags() & vm::kLocked)
      plan.call(pid, SYS_mlock2, {vma.start(), len, vma.flags() & vm::kLockOnFault ? MLOCK_ONFAULT : 0},
                "mlock");
  }
  if (mm->def_flags() & vm::kLocked)
    plan.call(pid, SYS_mlockall, {MCL_FUTURE | (mm->def_flags() & vm::kLockOnFault ? MCL_ONFAULT : 0)});

  prctl_mm_map fields{};
  fields.start_code = mm->start_code();
  fields.end_code = mm->end_code();
  fields.start_data = mm->start_data();
  fields.end_data = mm->end_data();
  fields.start_brk = mm->start_brk();
  fields.brk = mm->brk();
  fields.start_stack = mm->start_stack();
  fields.arg_start = mm->arg_start();
  fields.arg_end = mm->arg_end();
  fields.env_start = mm->env_start();
  fields.env_end = mm->env_end();
  fields.auxv_size = static_cast<std::uint32_t>(mm->auxv_size() * sizeof(std::uint64_t));
  DataId block = plan.bytes_of(fields);
  std::vector<std::uint64_t> auxv(mm->auxv().begin(), mm->auxv().end());
  plan.fix(block, offsetof(prctl_mm_map, auxv), 8, Operand::data(plan.data(std::as_bytes(std::span(auxv)))));
  Operand exe(-1);
  if (const Operand* ours = kinds::exe_file(plan, mm->exe_file_id()))
    exe = Operand::result(plan.op(Op::Code::Pull, pid, {*ours}, "executable"));
  plan.fix(block, offsetof(prctl_mm_map, exe_fd), 4, exe);
  plan.call(pid, SYS_prctl, {PR_SET_MM, PR_SET_MM_MAP, Operand::data(block), sizeof fields, 0}, "mm fields");
  if (exe.type == Operand::Type::Result) plan.call(pid, SYS_close, {exe});
  if (mm->thp_disabled())
    plan.call(pid, SYS_prctl,
              {PR_SET_THP_DISABLE, 1, mm->thp_except_advised() ? kThpExceptAdvised : 0, 0, 0});
  else if (is_watched(*mm) || planning.policy.huge_pages_unasked ||
           planning.late.contains(process.pid()))  // set for reading, or the parent's
    plan.call(pid, SYS_prctl, {PR_SET_THP_DISABLE, 0, 0, 0, 0});
  if (mm->merge_any()) plan.call(pid, SYS_prctl, {67 /*PR_SET_MEMORY_MERGE*/, 1, 0, 0, 0});
  return {};
}

}  // namespace bpfckpt::restore
