// SPDX-License-Identifier: Apache-2.0
// The mappings that the kernel makes of itself: vDSO and its data. The kernel moves them whole only
// (special_mapping_mremap()); what stands in the place of another kernel's is ordinary memory
// (kernel/vdso.h).
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <set>
#include <string_view>

#include "kernel/vdso.h"
#include "restore/mappings.h"

namespace bpfckpt::restore {
namespace {

class SpecialPlanner {
 public:
  SpecialPlanner(Planning& planning, Actor pid, const pb::AddressSpace& mm, const pb::AddressSpace* parent_mm)
      : plan_(planning.plan), old_vdso_(planning.old_vdso), pid_(pid), mm_(mm), parent_mm_(parent_mm) {}

  void run() {
    if (old_vdso_)
      place_old_vdso();
    else
      move_special_mappings();
  }

 private:
  // From the staging place (or from where the parent has them) to where the process had them. They may
  // overlap there, so that those which move go to the staging place first.
  void move_special_mappings() {
    for (const SpecialMapping& ours : plan_.environment().special_mappings()) {
      std::uint64_t len = ours.end - ours.start;
      const pb::Vma* wanted = special(mm_, ours.name);
      std::uint64_t from = staging_of(ours.name);
      if (parent_mm_ != nullptr) {
        const pb::Vma* parents = special(*parent_mm_, ours.name);
        if (parents == nullptr) continue;  // gone for good in the parent
        if (wanted != nullptr && wanted->start() == parents->start()) continue;
        plan_.call(pid_, SYS_mremap, {parents->start(), len, len, MREMAP_MAYMOVE | MREMAP_FIXED, from});
      }
      if (wanted == nullptr) {
        plan_.call(pid_, SYS_munmap, {from, len}, "was unmapped by the process");
        continue;
      }
    }
    for (const SpecialMapping& ours : plan_.environment().special_mappings()) {
      const pb::Vma* wanted = special(mm_, ours.name);
      if (wanted == nullptr) continue;
      if (parent_mm_ != nullptr) {
        const pb::Vma* parents = special(*parent_mm_, ours.name);
        if (parents == nullptr || parents->start() == wanted->start()) continue;
      }
      std::uint64_t len = ours.end - ours.start;
      plan_.call(pid_, SYS_mremap,
                 {staging_of(ours.name), len, len, MREMAP_MAYMOVE | MREMAP_FIXED, wanted->start()},
                 "special mapping");
    }
  }

  // Another kernel's vDSO, as ordinary memory. It leads to this one's, which stays in the staging place with
  // its data.
  void place_old_vdso() {
    const pb::Vma* wanted = special(mm_, "[vdso]");
    if (parent_mm_ != nullptr) {
      const pb::Vma* parents = special(*parent_mm_, "[vdso]");
      if (parents == nullptr) return;  // gone for good in the parent
      if (wanted != nullptr && wanted->start() == parents->start()) return;
      plan_.call(pid_, SYS_munmap, {parents->start(), parents->end() - parents->start()}, "the parent's");
    }
    if (wanted == nullptr) {
      for (const SpecialMapping& ours : plan_.environment().special_mappings())
        plan_.call(pid_, SYS_munmap, {staging_of(ours.name), ours.end - ours.start},
                   "was unmapped by the process");
      return;
    }
    const std::uint64_t start = wanted->start(), len = wanted->end() - start;
    plan_.call_expecting(
        pid_, start, SYS_mmap,
        {start, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0},
        "another kernel's vDSO");
    OpId pulled = plan_.op(Op::Code::Pull, pid_, {*old_vdso_}, "vDSO");
    plan_.call_expecting(pid_, len, SYS_pread64, {Operand::result(pulled), start, len, 0});
    plan_.call(pid_, SYS_close, {Operand::result(pulled)});
    plan_.call(pid_, SYS_mprotect, {start, len, PROT_READ | PROT_EXEC});
  }

  static const pb::Vma* special(const pb::AddressSpace& mm, const std::string& name) {
    for (const pb::Vma& vma : mm.vmas())
      if (vma.kind() == pb::SPECIAL && vma.name() == name) return &vma;
    return nullptr;
  }

  std::uint64_t staging_of(const std::string& name) const {
    auto mappings = plan_.environment().special_mappings();
    std::uint64_t first = mappings.front().start;
    for (const SpecialMapping& m : mappings)
      if (m.name == name) return plan_.plan().staging_base + (m.start - first);
    return 0;
  }

  PlanBuilder& plan_;
  const std::optional<Operand> old_vdso_;
  Actor pid_;
  const pb::AddressSpace& mm_;
  const pb::AddressSpace* parent_mm_;
};

}  // namespace

void plan_special_mappings(Planning& planning, Actor pid, const pb::AddressSpace& mm,
                           const pb::AddressSpace* parent_mm) {
  SpecialPlanner(planning, pid, mm, parent_mm).run();
}

Result<void> check_special_mappings(const Environment& environment, const RestorePolicy& policy,
                                    const pb::AddressSpace& mm) {
  const std::vector<SpecialMapping> ours = environment.special_mappings();
  std::set<std::string_view> seen;
  auto not_whole = [](const pb::Vma& vma, std::uint64_t len) {
    return fail(Error::conflict(
        fmt::format("mapping {} at {:#x} is not whole, or of another kernel: it has {} bytes, {} here",
                    vma.name(), vma.start(), vma.end() - vma.start(), len)));
  };
  for (const pb::Vma& vma : mm.vmas()) {
    if (vma.kind() != pb::SPECIAL || vma.name() == "[vsyscall]") continue;
    const std::uint64_t len = vma.end() - vma.start();
    if (!policy.old_vdso.empty()) {
      // The data of another kernel's vDSO is read by nobody any more.
      if (vma.name() == "[vdso]" && (!seen.insert(vma.name()).second || len != policy.old_vdso.size()))
        return not_whole(vma, policy.old_vdso.size());
      continue;
    }
    auto same = std::ranges::find(ours, vma.name(), &SpecialMapping::name);
    if (same == ours.end())
      return fail(Error::conflict(fmt::format("mapping {} does not exist here: another kernel", vma.name())));
    // The kernel moves them whole only (special_mapping_mremap()).
    if (!seen.insert(vma.name()).second || len != same->end - same->start)
      return not_whole(vma, same->end - same->start);
  }
  return {};
}

Result<void> plan_old_vdso(Planning& planning) {
  if (planning.policy.old_vdso.empty()) return {};
  PlanBuilder& plan = planning.plan;
  const std::vector<SpecialMapping> ours = plan.environment().special_mappings();
  auto vdso = std::ranges::find(ours, "[vdso]", &SpecialMapping::name);
  if (vdso == ours.end()) return fail(Error::conflict("this kernel has no vDSO, which the tree had"));
  const std::uint64_t address = plan.plan().staging_base + (vdso->start - ours.front().start);
  TRY_ASSIGN(std::vector<std::byte> pages,
             kernel::lead_over(planning.policy.old_vdso, planning.policy.vdso, address));
  plan.phase("another kernel's vDSO");
  OpId file = plan.call(kSelf, SYS_memfd_create, {Operand::data(plan.text("vdso")), MFD_CLOEXEC}, "old vDSO");
  plan.call_expecting(kSelf, pages.size(), SYS_pwrite64,
                      {Operand::result(file), Operand::data(plan.data(pages)), pages.size(), 0});
  planning.old_vdso = Operand::result(file);
  plan.plan().keeps_staging = true;
  return {};
}

}  // namespace bpfckpt::restore
