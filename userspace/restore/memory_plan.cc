// SPDX-License-Identifier: Apache-2.0
// How an address space is filled.
//
// A process comes out of its fork with nothing but the control area and the special mappings, which wait in
// the arena. Its mappings are made at their final addresses, writable where pages must be read into them
// (pages_plan.cc); protections, advice and locks follow when no fork can inherit them any more.
//
// A late child (kin.h) keeps the mappings that it has in common with its parent, and lets go of the parent's
// other pages.
#include <fcntl.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <string_view>

#include "kernel/vdso.h"
#include "kinds/memory_file.h"
#include "kinds/sysv_shm.h"
#include "model/vm_flags.h"
#include "model/vmas.h"
#include "restore/kin.h"
#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL, since 6.13

constexpr int kMapDroppable = 0x08;  // since 6.11

constexpr int kThpExceptAdvised = 2;  // PR_THP_DISABLE_EXCEPT_ADVISED, since 6.18

constexpr unsigned kNodeBits = 64 + 1;  // mbind(2) counts one more than it reads (mm/mempolicy.c:get_nodes())
constexpr long kSetMempolicyHomeNode = 450;  // since 5.17

int protection(const pb::Vma& vma) {
  int prot = 0;
  if (vma.flags() & vm::kRead) prot |= PROT_READ;
  if (vma.flags() & vm::kWrite) prot |= PROT_WRITE;
  if (vma.flags() & vm::kExec) prot |= PROT_EXEC;
  return prot;
}

// Where there are protection keys, the kernel takes one for the first mapping that may be executed only,
// whichever is free just then: such mappings are made readable, and mprotect() comes when it is that key's
// turn (plan_keys()).
bool takes_execute_only_key(const pb::AddressSpace& mm, const pb::Vma& vma) {
  return mm.execute_only_key() != 0 && vma.kind() != pb::SPECIAL && protection(vma) == PROT_EXEC;
}

// Rings that the kernel shares with the process are mapped when they are made, which is later.
bool is_ring(const ModelIndex& index, const pb::Vma& vma) {
  const pb::File* file = index.file(vma.file_id());
  return file != nullptr && (file->kind() == "aio" || file->kind() == "io_uring" || file->kind() == "packet");
}

bool has_memory_policy(const pb::AddressSpace& mm) {
  return std::ranges::any_of(mm.vmas(), [](const pb::Vma& vma) { return vma.has_memory_policy(); });
}

int mmap_flags(const pb::Vma& vma) {
  int flags = MAP_FIXED_NOREPLACE;
  flags |= vma.flags() & vm::kDroppable ? kMapDroppable : is_private(vma) ? MAP_PRIVATE : MAP_SHARED;
  if (vma.file_id() == 0) flags |= MAP_ANONYMOUS;
  if (vma.flags() & vm::kGrowsDown) flags |= MAP_GROWSDOWN;
  if (vma.flags() & vm::kNoReserve) flags |= MAP_NORESERVE;
  return flags;
}

// Must it be writable for a moment: because pages are read into it, or because it once was: the memory of a
// private mapping is accounted when it is or becomes writable (mm/vma.c, mm/mprotect.c), and stays so when it
// is made read-only.
bool writable_first(const pb::AddressSpace& mm, const pb::Vma& vma) {
  if (!is_private(vma)) return false;
  if (vma.flags() & vm::kAccount) return true;
  auto it = std::ranges::partition_point(
      mm.pages(), [&](const pb::PageRun& run) { return run.start() + run.count() * kPage <= vma.start(); });
  return it != mm.pages().end() && it->start() < vma.end();
}

class MemoryPlanner {
 public:
  MemoryPlanner(Planning& planning, const pb::Process& process, const pb::AddressSpace& mm,
                const pb::AddressSpace* parent_mm)
      : planning_(planning),
        plan_(planning.plan),
        policy_(planning.policy),
        old_vdso_(planning.old_vdso),
        pid_(process.pid()),
        mm_(mm),
        parent_mm_(parent_mm) {}

  Result<void> run() {
    if (parent_mm_ != nullptr) {
      common_ = common_ranges(*parent_mm_, mm_);
      drop_parents();
    }
    TRY(check_special_mappings(plan_.environment(), policy_, mm_));
    if (old_vdso_)
      place_old_vdso();
    else
      move_special_mappings();
    return map();
  }

 private:
  // What the parent has and the child has not: mappings, and pages inside of common mappings.
  void drop_parents() {
    for (const pb::Vma& vma : parent_mm_->vmas()) {
      if (vma.kind() == pb::SPECIAL) continue;
      for_each_gap(vma.start(), vma.end(), common_, [&](std::uint64_t start, std::uint64_t end) {
        plan_.call(pid_, SYS_munmap, {start, end - start}, "the parent's");
      });
    }
    PageLookup own(mm_);
    std::size_t in = 0;
    for (const pb::PageRun& run : parent_mm_->pages()) {
      std::uint64_t drop_start = 0, drop_end = 0;
      auto flush = [&] {
        if (drop_start < drop_end)
          plan_.call(pid_, SYS_madvise, {drop_start, drop_end - drop_start, MADV_DONTNEED},
                     "the parent's pages");
        drop_start = drop_end = 0;
      };
      for (std::uint32_t i = 0; i < run.count(); i++) {
        std::uint64_t page = run.start() + i * kPage;
        while (in < common_.size() && common_[in].end <= page) in++;
        bool kept = in < common_.size() && common_[in].start <= page;
        if (!kept || own.run_at(page) != nullptr) {
          flush();
          continue;
        }
        if (drop_end != page) {
          flush();
          drop_start = page;
        }
        drop_end = page + kPage;
      }
      flush();
    }
  }

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

  Result<void> map() {
    for (const pb::Vma& vma : mm_.vmas()) {
      if (vma.kind() == pb::SPECIAL || kinds::attached_object(plan_.index(), vma) != nullptr) continue;
      if (is_ring(plan_.index(), vma)) {
        constexpr int kPlaceholder = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
        for_each_gap(vma.start(), vma.end(), common_, [&](std::uint64_t start, std::uint64_t end) {
          plan_.call_expecting(pid_, start, SYS_mmap, {start, end - start, PROT_NONE, kPlaceholder, -1, 0},
                               "place of a ring");
        });
        continue;
      }
      TRY_ASSIGN(Operand fd, file_of(vma));
      int prot = protection(vma);
      if (writable_first(mm_, vma)) prot |= PROT_READ | PROT_WRITE;
      if (takes_execute_only_key(mm_, vma)) prot |= PROT_READ;
      std::uint64_t hugetlb = vma.flags() & vm::kHugeTlb ? MAP_HUGETLB : 0;
      if (vma.file_id() != 0) hugetlb = 0;
      for_each_gap(vma.start(), vma.end(), common_, [&](std::uint64_t start, std::uint64_t end) {
        std::uint64_t offset = vma.file_id() == 0 ? 0 : vma.file_offset() + (start - vma.start());
        plan_.call_expecting(
            pid_, start, SYS_mmap,
            {start, end - start, prot, static_cast<std::uint64_t>(mmap_flags(vma)) | hugetlb, fd, offset});
      });
      make_common_writable(vma, prot);
      plan_memory_policy(vma);
    }
    for (auto& [file, op] : pulled_) {
      // It is the mapping's description from here on.
      if (auto lock = planning_.mapped_locks.find({static_cast<std::uint32_t>(file >> 1), (file & 1) != 0});
          lock != planning_.mapped_locks.end())
        plan_.call(pid_, SYS_flock,
                   {Operand::result(op), (lock->second == F_WRLCK ? LOCK_EX : LOCK_SH) | LOCK_NB},
                   "lock of a mapping");
      plan_.call(pid_, SYS_close, {Operand::result(op)});
    }
    pulled_.clear();
    return plan_attachments(planning_, pid_, mm_, parent_mm_, common_);
  }

  // What it has in common with its parent, who never wrote there, if pages will be read into it.
  void make_common_writable(const pb::Vma& vma, int prot) {
    if (parent_mm_ == nullptr || !writable_first(mm_, vma)) return;
    const auto& parents = parent_mm_->vmas();
    auto it = std::ranges::partition_point(
        parents, [&](const pb::Vma& theirs) { return theirs.end() <= vma.start(); });
    for (; it != parents.end() && it->start() < vma.end(); ++it) {
      if (writable_first(*parent_mm_, *it)) continue;
      const std::uint64_t start = std::max(vma.start(), it->start());
      const std::uint64_t end = std::min(vma.end(), it->end());
      std::uint64_t from = start;
      const auto protect = [&](std::uint64_t until) {
        if (from < until) plan_.call(pid_, SYS_mprotect, {from, until - from, prot}, "to read pages into it");
      };
      for_each_gap(start, end, common_, [&](std::uint64_t gap_start, std::uint64_t gap_end) {
        protect(gap_start);
        from = gap_end;
      });
      protect(end);
    }
  }

  // Before there are pages, so that they are taken from where they are wanted.
  void plan_memory_policy(const pb::Vma& vma) {
    const std::uint64_t len = vma.end() - vma.start();
    const pb::MemoryPolicy& policy = vma.memory_policy();
    if (!vma.has_memory_policy()) {
      if (parent_mm_ != nullptr && has_memory_policy(*parent_mm_))
        plan_.call(pid_, SYS_mbind, {vma.start(), len, 0 /*MPOL_DEFAULT*/, 0, 0, 0},
                   "not the parent's policy");
      return;
    }
    Operand nodes = policy.nodes() == 0 ? Operand(0) : Operand::data(plan_.bytes_of(policy.nodes()));
    plan_.call(pid_, SYS_mbind,
               {vma.start(), len, policy.mode(), nodes, policy.nodes() == 0 ? 0 : kNodeBits, 0},
               "memory policy");
    if (policy.home_node() >= 0)
      plan_.call(pid_, kSetMempolicyHomeNode, {vma.start(), len, policy.home_node(), 0}, "home node");
  }

  Result<Operand> file_of(const pb::Vma& vma) {
    if (vma.file_id() == 0) return Operand(-1);
    std::uint64_t key = std::uint64_t{vma.file_id()} << 1 | kinds::needs_write(vma);
    if (auto it = pulled_.find(key); it != pulled_.end()) return Operand::result(it->second);
    const Operand* ours = kinds::mapped_file(plan_, vma);
    if (ours == nullptr)
      return fail(
          Error::bug(fmt::format("pid {}: mapping at {:#x}: its file was not made", pid_, vma.start())));
    OpId op = plan_.op(Op::Code::Pull, pid_, {*ours}, "to map");
    pulled_.emplace(key, op);
    return Operand::result(op);
  }

  Planning& planning_;
  PlanBuilder& plan_;
  const RestorePolicy& policy_;
  const std::optional<Operand> old_vdso_;
  Actor pid_;
  const pb::AddressSpace& mm_;
  const pb::AddressSpace* parent_mm_;  // the space it was forked from with its pages; null: an empty one
  std::vector<Range> common_;
  std::map<std::uint64_t, OpId> pulled_;  // file id and access -> descriptor in the process
};

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

Result<void> plan_mapped_files(Planning& planning) {
  planning.plan.phase("files that are mapped");
  for (const pb::AddressSpace& mm : planning.model().memory.address_spaces()) {
    for (const pb::Vma& vma : mm.vmas())
      if (vma.file_id() != 0 && !is_ring(planning.plan.index(), vma) &&
          kinds::attached_object(planning.plan.index(), vma) == nullptr)
        TRY(kinds::plan_mapped_file(planning.plan, vma), "mapping at {:#x}", vma.start());
    if (mm.exe_file_id() != 0) TRY(kinds::plan_exe_file(planning.plan, mm.exe_file_id()), "executable");
    if (!mm.pages().empty())
      for (const std::string& image : mm.page_images()) planning.plan.open_image(image);
  }
  return {};
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

Result<void> plan_memory(Planning& planning, const pb::Process& process) {
  const ModelIndex& index = planning.plan.index();
  const pb::AddressSpace* mm = index.address_space(process.mm_id());
  if (mm == nullptr) return {};
  const pb::AddressSpace* born_with = index.address_space(planning.born_with[process.pid()]);
  TRY(MemoryPlanner(planning, process, *mm, born_with).run(), "pid {}", process.pid());
  return {};
}

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
