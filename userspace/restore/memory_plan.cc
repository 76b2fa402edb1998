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
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>

#include "kinds/memory_file.h"
#include "kinds/sysv_shm.h"
#include "restore/kin.h"
#include "restore/mappings.h"

namespace bpfckpt::restore {
namespace {

constexpr int kMapDroppable = 0x08;  // since 6.11

constexpr unsigned kNodeBits = 64 + 1;  // mbind(2) counts one more than it reads (mm/mempolicy.c:get_nodes())
constexpr long kSetMempolicyHomeNode = 450;  // since 5.17

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

class MemoryPlanner {
 public:
  MemoryPlanner(Planning& planning, const pb::Process& process, const pb::AddressSpace& mm,
                const pb::AddressSpace* parent_mm)
      : planning_(planning),
        plan_(planning.plan),
        policy_(planning.policy),
        pid_(process.pid()),
        mm_(mm),
        parent_mm_(parent_mm) {}

  Result<void> run() {
    if (parent_mm_ != nullptr) {
      common_ = common_ranges(*parent_mm_, mm_);
      drop_parents();
    }
    TRY(check_special_mappings(plan_.environment(), policy_, mm_));
    plan_special_mappings(planning_, pid_, mm_, parent_mm_);
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
  Actor pid_;
  const pb::AddressSpace& mm_;
  const pb::AddressSpace* parent_mm_;  // the space it was forked from with its pages; null: an empty one
  std::vector<Range> common_;
  std::map<std::uint64_t, OpId> pulled_;  // file id and access -> descriptor in the process
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

Result<void> plan_memory(Planning& planning, const pb::Process& process) {
  const ModelIndex& index = planning.plan.index();
  const pb::AddressSpace* mm = index.address_space(process.mm_id());
  if (mm == nullptr) return {};
  const pb::AddressSpace* born_with = index.address_space(planning.born_with[process.pid()]);
  TRY(MemoryPlanner(planning, process, *mm, born_with).run(), "pid {}", process.pid());
  return {};
}

}  // namespace bpfckpt::restore
