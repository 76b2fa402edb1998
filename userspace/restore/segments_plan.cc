// SPDX-License-Identifier: Apache-2.0
// System V segments (kinds/sysv_shm.cc says what they are).
//
// A segment that is gone is made by shmget(2) under its old id: what is written to kernel.shm_next_id is the
// next one's, if its place in the table is free (ipc/util.c:ipc_idr_alloc()). It is made by the process that
// made it, where the tree has that, and with its creator's ids, which nothing could change later. bpfckpt
// itself stays attached while the tree is made, so that it outlives the moments in which nobody else is
// (kernel.shm_rmid_forced), and fills it through an opening of its own mapping.
//
// Each process attaches on its own what was not inherited. Of an attachment of which parts were unmapped, or
// moved, the whole is attached where there is room, each part is mapped once more from there to its place
// (mremap(2) with an old length of 0), and the whole goes again. Parts on huge pages, which cannot be mapped
// twice (mm/mremap.c), are moved.
#include <fcntl.h>
#include <linux/securebits.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/syscall.h>

#include <algorithm>

#include "kinds/huge_content.h"
#include "kinds/sysv_shm.h"
#include "model/vm_flags.h"
#include "restore/kin.h"
#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

constexpr std::uint64_t kLowestAddress = 0x10000;
constexpr std::uint64_t kHighestAddress = 0x7ffffffff000;
constexpr std::uint64_t kStackRoom = 16 << 20;
constexpr int kPunchHole = 3;  // FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE
constexpr std::uint32_t kKeep = UINT32_MAX;

class SegmentPlanner {
 public:
  SegmentPlanner(Planning& planning, const pb::FileObject& object, const pb::SysvSegment& segment)
      : planning_(planning), plan_(planning.plan), object_(object), segment_(segment) {}

  void run() {
    const bool exists = plan_.environment().segment_exists(segment_.id());
    const Operand id = exists ? Operand(segment_.id()) : make();
    const Operand at =
        Operand::result(plan_.call(kSelf, SYS_shmat, {segment_.id(), 0, 0}, "System V segment"));
    planning_.segments[object_.id()] = {at, exists};
    // Who is attached keeps it, and it goes with bpfckpt if that is killed.
    if (!exists && was_removed()) remove(id);
    // What is there already may have been changed by others since: it stays as long as the plan can fail.
    if (!exists) fill(at, false);
    shmid_ds facts{};
    facts.shm_perm.uid = segment_.uid();
    facts.shm_perm.gid = segment_.gid();
    facts.shm_perm.mode = static_cast<unsigned short>(segment_.mode() & 0777);
    plan_.call(kSelf, SYS_shmctl, {segment_.id(), IPC_SET, Operand::data(plan_.bytes_of(facts))},
               "its owner");
    if ((segment_.mode() & kinds::kSegmentLocked) != 0)
      plan_.call(kSelf, SYS_shmctl, {segment_.id(), SHM_LOCK, 0});
    else if (exists)
      plan_.call(kSelf, SYS_shmctl, {segment_.id(), SHM_UNLOCK, 0});
  }

  // When nothing else is left to do.
  void finish(const Planning::Segment& segment) {
    if (segment.existed) fill(segment.at, true);
    if (segment.existed && was_removed()) remove(segment_.id());
    plan_.call(kSelf, SYS_shmdt, {segment.at});
  }

 private:
  bool was_removed() const { return (segment_.mode() & kinds::kSegmentRemoved) != 0; }
  // With the operand of the undoing call that it makes needless.
  void remove(Operand id) { plan_.call(kSelf, SYS_shmctl, {id, IPC_RMID, 0}, "was removed"); }

  // The process that made it, if it is there already; else the root.
  Actor maker() const {
    const pb::Process* creator = plan_.index().process(segment_.creator_pid());
    for (const pb::Process* up = creator; up != nullptr; up = plan_.index().process(up->parent_pid()))
      if (planning_.late.contains(up->pid()) || up->state() == pb::ZOMBIE) return plan_.plan().root;
    return creator != nullptr ? creator->pid() : plan_.plan().root;
  }

  Operand make() {
    const Actor pid = maker();
    const Environment::Ids own = plan_.environment().ids();
    const bool other = segment_.creator_uid() != own.euid || segment_.creator_gid() != own.egid;
    if (other) {
      // Huge pages want a capability, which a change of the effective uid would take away.
      plan_.call(pid, SYS_prctl, {PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0}, "its creator");
      plan_.call(pid, SYS_setresgid, {kKeep, segment_.creator_gid(), kKeep});
      plan_.call(pid, SYS_setresuid, {kKeep, segment_.creator_uid(), kKeep});
    }
    // The next segment that anybody makes has it: what may fail comes before.
    const std::string id = std::to_string(segment_.id());
    const OpId next = plan_.call(
        kSelf, SYS_openat,
        {AT_FDCWD, Operand::data(plan_.text("/proc/sys/kernel/shm_next_id")), O_WRONLY | O_CLOEXEC}, "id");
    plan_.call_expecting(kSelf, id.size(), SYS_write,
                         {Operand::result(next), Operand::data(plan_.text(id)), id.size()}, "id");
    plan_.call(kSelf, SYS_close, {Operand::result(next)});
    std::uint32_t flags = IPC_CREAT | IPC_EXCL | (segment_.mode() & 0777);
    if (segment_.no_reserve()) flags |= SHM_NORESERVE;
    if (segment_.huge_page_shift() != 0) flags |= SHM_HUGETLB | segment_.huge_page_shift() << MAP_HUGE_SHIFT;
    const OpId made = plan_.call_expecting(
        pid, segment_.id(), SYS_shmget, {static_cast<std::int64_t>(segment_.key()), segment_.size(), flags},
        "System V segment");
    plan_.undo_call(made, SYS_shmctl, {Operand::result(made), IPC_RMID, 0});
    if (!other) return Operand::result(made);
    plan_.call(pid, SYS_setresuid, {kKeep, own.euid, kKeep}, "ourselves again");
    plan_.call(pid, SYS_setresgid, {kKeep, own.egid, kKeep});
    plan_.call(pid, SYS_prctl, {PR_SET_SECUREBITS, 0, 0, 0, 0});
    return Operand::result(made);
  }

  void fill(Operand at, bool exists) {
    const std::uint64_t len = kinds::mapped_bytes(segment_);
    const OpId fd = plan_.op(Op::Code::OpenMapping, kSelf, {at, len}, "System V segment, to be filled");
    if (exists) plan_.call(kSelf, SYS_fallocate, {Operand::result(fd), kPunchHole, 0, len}, "old contents");
    if (segment_.huge_page_shift() != 0)
      kinds::fill_huge(plan_, Operand::result(fd), segment_.content());
    else
      plan_.fill(Operand::result(fd), segment_.content());
    for (const pb::Extent& extent : segment_.tail().extents()) {
      Operand place = at;
      place.value += extent.offset();
      plan_.call_expecting(kSelf, extent.length(), SYS_pread64,
                           {Operand::result(plan_.open_image(segment_.tail().image())), place,
                            extent.length(), extent.image_offset()},
                           "behind its end");
    }
    plan_.call(kSelf, SYS_close, {Operand::result(fd)});
  }

  Planning& planning_;
  PlanBuilder& plan_;
  const pb::FileObject& object_;
  const pb::SysvSegment& segment_;
};

// What is to be mapped of one attachment.
struct Piece {
  std::uint64_t start = 0, end = 0;  // [start, end)
  std::uint64_t offset = 0;          // in the segment
  const pb::Vma* vma = nullptr;
};

// Addresses that neither the space, nor the one that it came out of its fork with, nor the arena uses.
Result<std::uint64_t> find_room(const Planning& planning, const pb::AddressSpace& mm,
                                const pb::AddressSpace* parent_mm, std::uint64_t len) {
  const Plan& plan = planning.plan.plan();
  std::vector<std::pair<std::uint64_t, std::uint64_t>> used{{plan.arena_base, plan.arena_end}};
  for (const pb::AddressSpace* space : {&mm, parent_mm}) {
    if (space == nullptr) continue;
    for (const pb::Vma& vma : space->vmas())
      used.emplace_back(vma.growsdown() ? vma.start() - std::min(vma.start(), kStackRoom) : vma.start(),
                        vma.end());
  }
  std::ranges::sort(used);
  used.emplace_back(kHighestAddress, kHighestAddress);
  // Segments on huge pages want an address to match; a gap that is that much larger has one.
  constexpr std::uint64_t kLargestPage = std::uint64_t{1} << 30;
  std::uint64_t at = kLowestAddress;
  for (auto& [start, end] : used) {
    const std::uint64_t aligned = (at + kLargestPage - 1) & ~(kLargestPage - 1);
    if (aligned < start && start - aligned >= len) return aligned;
    at = std::max(at, end);
  }
  return fail(Error::unsupported(
      fmt::format("no room to attach a System V segment of {} bytes, of which parts were unmapped", len)));
}

class AttachmentPlanner {
 public:
  AttachmentPlanner(Planning& planning, Actor pid, const pb::AddressSpace& mm, const pb::AddressSpace* parent)
      : planning_(planning), plan_(planning.plan), pid_(pid), mm_(mm), parent_mm_(parent) {}

  Result<void> attach(const pb::SysvSegment& segment, const std::vector<Piece>& pieces) {
    const std::uint64_t len = kinds::mapped_bytes(segment);
    const Piece& first = pieces.front();
    const bool may_write = (first.vma->flags() & vm::kMayWrite) != 0;
    std::uint32_t flags = may_write ? 0 : SHM_RDONLY;
    // Not all file systems let it be had later (VM_MAYEXEC).
    if (std::ranges::any_of(pieces, [](const Piece& it) { return (it.vma->flags() & vm::kExec) != 0; }))
      flags |= SHM_EXEC;
    if (pieces.size() == 1 && first.offset == 0 && first.end - first.start == len) {
      plan_.call_expecting(pid_, first.start, SYS_shmat, {segment.id(), first.start, flags},
                           "System V segment");
    } else {
      TRY_ASSIGN(const std::uint64_t room, find_room(planning_, mm_, parent_mm_, len));
      plan_.call_expecting(pid_, room, SYS_shmat, {segment.id(), room, flags}, "System V segment");
      for (const Piece& piece : pieces) {
        if (piece.offset >= len)
          return fail(Error::bad_image(
              fmt::format("{}: a mapping begins behind its end", kinds::segment_name(segment))));
        const std::uint64_t bytes = piece.end - piece.start;
        plan_.call_expecting(pid_, piece.start, SYS_mremap,
                             {room + piece.offset, segment.huge_page_shift() != 0 ? bytes : 0, bytes,
                              MREMAP_MAYMOVE | MREMAP_FIXED, piece.start},
                             "a part of it");
      }
      plan_.call(pid_, SYS_munmap, {room, len}, "the whole");
    }
    const int given = PROT_READ | (may_write ? PROT_WRITE : 0) | ((flags & SHM_EXEC) != 0 ? PROT_EXEC : 0);
    for (const Piece& piece : pieces) protect(piece, given);
    return {};
  }

 private:
  void protect(const Piece& piece, int given) {
    int prot = 0;
    if (piece.vma->flags() & vm::kRead) prot |= PROT_READ;
    if (piece.vma->flags() & vm::kWrite) prot |= PROT_WRITE;
    if (piece.vma->flags() & vm::kExec) prot |= PROT_EXEC;
    // The key of what can be executed only is taken later (memory_end_plan.cc: plan_keys()).
    if (prot == PROT_EXEC && mm_.execute_only_key() != 0) prot |= PROT_READ;
    if (prot != given) plan_.call(pid_, SYS_mprotect, {piece.start, piece.end - piece.start, prot});
  }

  Planning& planning_;
  PlanBuilder& plan_;
  Actor pid_;
  const pb::AddressSpace& mm_;
  const pb::AddressSpace* parent_mm_;
};

}  // namespace

Result<void> plan_segments(Planning& planning) {
  planning.plan.phase("System V segments", true);
  for (const pb::FileObject& object : planning.model().files.objects()) {
    if (object.kind() != "sysv_shm") continue;
    TRY_ASSIGN(const pb::SysvSegment segment, kinds::unpack_segment(object), "object {}", object.id());
    SegmentPlanner(planning, object, segment).run();
  }
  return {};
}

Result<void> plan_attachments(Planning& planning, Actor pid, const pb::AddressSpace& mm,
                              const pb::AddressSpace* parent_mm, const std::vector<Range>& common) {
  std::map<std::uint32_t, std::vector<Piece>> attachments;  // by file
  for (const pb::Vma& vma : mm.vmas())
    if (kinds::attached_object(planning.plan.index(), vma) != nullptr)
      for_each_gap(vma.start(), vma.end(), common, [&](std::uint64_t start, std::uint64_t end) {
        attachments[vma.file_id()].push_back({start, end, vma.file_offset() + (start - vma.start()), &vma});
      });
  for (auto& [file, pieces] : attachments) {
    const pb::FileObject* object = kinds::attached_object(planning.plan.index(), *pieces.front().vma);
    TRY_ASSIGN(const pb::SysvSegment segment, kinds::unpack_segment(*object), "object {}", object->id());
    if (std::ranges::any_of(pieces, [](const Piece& it) { return it.vma->kind() == pb::FILE_PRIVATE; }))
      return fail(Error::bad_image(fmt::format("{}: a private mapping", kinds::segment_name(segment))));
    TRY(AttachmentPlanner(planning, pid, mm, parent_mm).attach(segment, pieces));
  }
  return {};
}

Result<void> plan_segments_end(Planning& planning) {
  if (planning.segments.empty()) return {};
  planning.plan.phase("System V segments done");
  for (const auto& [id, planned] : planning.segments) {
    const pb::FileObject* object = planning.plan.index().object(id);
    TRY_ASSIGN(const pb::SysvSegment segment, kinds::unpack_segment(*object), "object {}", id);
    SegmentPlanner(planning, *object, segment).finish(planned);
  }
  return {};
}

}  // namespace bpfckpt::restore
