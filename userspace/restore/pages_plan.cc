// SPDX-License-Identifier: Apache-2.0
// How pages come from the image into place.
//
// Each process reads its own, with preadv(2), all at the same time. What it costs is the first touch of the
// memory: a fault a page, and that the kernel clears it. So bpfckpt fills large mappings from outside, by a
// userfaultfd of the process's (UFFDIO_COPY): there are no faults, new pages are not cleared, and all
// processors are at it. Where huge pages come by themselves the process reads faster, and bpfckpt, which has
// nothing else to do, copies its share. FillPages is either.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <optional>

#include "image/checksum.h"
#include "model/page_pieces.h"
#include "model/vm_flags.h"
#include "model/vmas.h"
#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

constexpr std::uint64_t kHugePage = 2 << 20;
constexpr std::uint64_t kBytesPerCall = 1u << 30;  // preadv(2) moves at most 0x7ffff000
// So that no processor waits for another one at the end, and what is copied can be checked as it passes.
constexpr std::uint64_t kBytesPerCopy = image::kChecksumBlockBytes;
// Fewer of a mapping are not worth its registration, which is some calls.
constexpr std::uint64_t kFewBytes = 1 << 20;

// One process's pages to read.
struct Reading {
  Actor pid = 0;
  const pb::AddressSpace* mm = nullptr;
  std::vector<pb::PageRun> runs;
  std::uint64_t bytes = 0;
  std::vector<pb::PageRun> copied;  // by bpfckpt, through a userfaultfd
  std::optional<OpId> userfaultfd;  // the process's
};

std::uint64_t bytes_of(const std::vector<pb::PageRun>& runs) {
  std::uint64_t pages = 0;
  for (const pb::PageRun& run : runs) pages += run.count();
  return pages * kPage;
}

// The pages [from, until) of a run.
pb::PageRun part_of(const pb::PageRun& run, std::uint64_t from, std::uint64_t until) {
  pb::PageRun part;
  part.set_start(run.start() + from * kPage);
  part.set_count(static_cast<std::uint32_t>(until - from));
  part.set_index(run.index() + from);
  return part;
}

// mm/userfaultfd.c:vma_can_userfault(): a private mapping of a file cannot. Of what is wanted in huge pages
// only small ones would be made.
bool takes_copies(const pb::Vma& vma) {
  return vma.kind() == pb::ANONYMOUS_PRIVATE && (vma.flags() & (vm::kHugePage | vm::kHugeTlb)) == 0;
}

// Has the process make a userfaultfd and register the mappings with it that bpfckpt will fill; their runs go
// to `copied`. In the phase in which the mappings are made.
void plan_registration(PlanBuilder& plan, Reading& reading) {
  std::vector<pb::PageRun> own;
  std::size_t at = 0;
  std::uint64_t done = 0;  // pages of that run
  const auto take = [&](std::uint64_t until) {
    std::vector<pb::PageRun> taken;
    while (at < reading.runs.size() && reading.runs[at].start() + done * kPage < until) {
      const pb::PageRun& run = reading.runs[at];
      const std::uint64_t last = std::min<std::uint64_t>(run.count(), (until - run.start()) / kPage);
      taken.push_back(part_of(run, done, last));
      done = last;
      if (done == run.count()) at++, done = 0;
    }
    return taken;
  };
  for (const pb::Vma& vma : reading.mm->vmas()) {
    std::ranges::move(take(vma.start()), std::back_inserter(own));
    std::vector<pb::PageRun> inside = take(vma.end());
    const bool copied = takes_copies(vma) && bytes_of(inside) >= kFewBytes;
    std::ranges::move(inside, std::back_inserter(copied ? reading.copied : own));
    if (!copied) continue;
    if (!reading.userfaultfd) {
      reading.userfaultfd =
          plan.call(reading.pid, SYS_userfaultfd, {O_CLOEXEC | UFFD_USER_MODE_ONLY}, "for its pages");
      plan.call(reading.pid, SYS_ioctl,
                {Operand::result(*reading.userfaultfd), UFFDIO_API,
                 Operand::data(plan.bytes_of(uffdio_api{UFFD_API, 0, 0}))});
    }
    const uffdio_register registration{
        {vma.start(), vma.end() - vma.start()}, UFFDIO_REGISTER_MODE_MISSING, 0};
    plan.call(
        reading.pid, SYS_ioctl,
        {Operand::result(*reading.userfaultfd), UFFDIO_REGISTER, Operand::data(plan.bytes_of(registration))});
  }
  std::ranges::move(take(UINT64_MAX), std::back_inserter(own));
  reading.runs = std::move(own);
  reading.bytes = bytes_of(reading.runs);
}

// Gives back bpfckpt's duplicate of the userfaultfd, which it has no more use for when the phase is over.
Operand plan_copying(PlanBuilder& plan, const Reading& reading) {
  const Operand ours = Operand::result(
      plan.op(Op::Code::Fetch, kSelf, {reading.pid, Operand::result(*reading.userfaultfd)}, "userfaultfd"));
  for (PagePieces pieces(reading.copied); !pieces.empty();) {
    const PagePieces::Piece piece = pieces.next(kBytesPerCopy - pieces.offset() % kBytesPerCopy);
    const Operand image =
        Operand::result(plan.open_image(reading.mm->page_images(static_cast<int>(piece.image))));
    const Operand parts = Operand::data(plan.data(std::as_bytes(std::span(piece.parts))));
    plan.op(Op::Code::FillPages, kSelf, {reading.pid, image, parts, piece.parts.size(), piece.offset, ours},
            "pages");
  }
  return ours;
}

// Would a huge page put memory where there was none: is one partly filled that fits into a mapping?
bool has_holes(const pb::AddressSpace& mm) {
  int at = 0;
  for (const pb::Vma& vma : mm.vmas()) {
    if (!is_private(vma)) continue;
    std::uint64_t filled_from = 0, filled_until = 0;  // pages that follow one another
    auto is_partly_filled = [&](std::uint64_t edge) {
      const std::uint64_t block = edge & ~(kHugePage - 1);
      return edge != block && block >= vma.start() && block + kHugePage <= vma.end();
    };
    for (; at < mm.pages_size() && mm.pages(at).start() < vma.end(); at++) {
      const pb::PageRun& run = mm.pages(at);
      const std::uint64_t end = run.start() + run.count() * kPage;
      if (end <= vma.start()) continue;
      if (run.start() != filled_until) {
        if (is_partly_filled(filled_until) || is_partly_filled(run.start())) return true;
        filled_from = run.start();
      }
      filled_until = end;
      if (end > vma.end()) break;  // goes on in the next mapping
    }
    if (filled_until > filled_from && filled_until < vma.end() && is_partly_filled(filled_until)) return true;
  }
  return false;
}

// The first `own` bytes by the process itself, the others by bpfckpt.
void plan_reading(PlanBuilder& plan, const Reading& reading, std::uint64_t own) {
  std::map<std::uint64_t, Operand> pulled;
  PagePieces pieces(reading.runs);
  for (std::uint64_t done = 0; done < reading.bytes;) {
    const bool by_itself = done < own;
    const PagePieces::Piece piece =
        pieces.next(std::min(kBytesPerCall, by_itself ? own - done : reading.bytes - done));
    const Operand image =
        Operand::result(plan.open_image(reading.mm->page_images(static_cast<int>(piece.image))));
    const Operand parts = Operand::data(plan.data(std::as_bytes(std::span(piece.parts))));
    if (by_itself && !pulled.contains(piece.image))
      pulled[piece.image] = Operand::result(plan.op(Op::Code::Pull, reading.pid, {image}, "pages"));
    if (by_itself)
      plan.call_expecting(reading.pid, piece.bytes, SYS_preadv,
                          {pulled[piece.image], parts, piece.parts.size(), piece.offset, 0}, "pages");
    else
      plan.op(Op::Code::FillPages, kSelf, {reading.pid, image, parts, piece.parts.size(), piece.offset},
              "pages");
    done += piece.bytes;
  }
  for (const auto& [image, fd] : pulled) plan.call(reading.pid, SYS_close, {fd});
  if (reading.userfaultfd) plan.call(reading.pid, SYS_close, {Operand::result(*reading.userfaultfd)});
}

// A huge page that is touched anywhere is there as a whole: it would put memory where there was none. Where
// that cannot be, huge pages come back, if the process had asked for them before. Returns whether all of its
// memory gets them.
bool plan_huge_pages(PlanBuilder& plan, Actor pid, const pb::AddressSpace& mm, const RestorePolicy& policy) {
  const bool holes = !is_watched(mm) && has_holes(mm);
  // Until plan_memory_end().
  if (is_watched(mm) || (holes && policy.huge_pages_unasked))
    plan.call(pid, SYS_prctl, {PR_SET_THP_DISABLE, 1, 0, 0, 0}, holes ? "for the holes" : "for userfaultfd");
  if (is_watched(mm) || holes) return false;
  for (const pb::Vma& vma : mm.vmas())
    if ((vma.flags() & vm::kHugePage) != 0)
      plan.try_call(pid, SYS_madvise, {vma.start(), vma.end() - vma.start(), MADV_HUGEPAGE}, "huge pages");
  return policy.huge_pages_unasked && !mm.thp_disabled();
}

}  // namespace

void plan_pages(Planning& planning, const std::vector<const pb::Process*>& processes) {
  PlanBuilder& plan = planning.plan;
  std::vector<Reading> readings;
  std::uint64_t large = 0;
  for (const pb::Process* process : processes) {
    const pb::AddressSpace* mm = plan.index().address_space(process->mm_id());
    const pb::AddressSpace* parent = plan.index().address_space(planning.born_with[process->pid()]);
    Reading reading{.pid = process->pid(), .mm = mm};
    if (parent == nullptr)
      reading.runs.assign(mm->pages().begin(), mm->pages().end());
    else
      reading.runs = pages_to_read(*parent, *mm, common_ranges(*parent, *mm));
    if (reading.runs.empty()) continue;
    reading.bytes = bytes_of(reading.runs);
    const bool huge = plan_huge_pages(plan, reading.pid, *mm, planning.policy);
    if (reading.bytes >= kLargeBytes && !huge && planning.policy.userfaultfd && !is_watched(*mm))
      plan_registration(plan, reading);
    if (reading.bytes >= kLargeBytes) large++;
    readings.push_back(std::move(reading));
  }
  // What bpfckpt copies waits for nobody of the phase.
  plan.phase("pages");
  std::vector<Operand> userfaultfds;
  for (const Reading& reading : readings) {
    if (reading.userfaultfd) userfaultfds.push_back(plan_copying(plan, reading));
    plan_reading(plan, reading, own_share(reading.bytes, large));
  }
  if (userfaultfds.empty()) return;
  // With the last descriptor of it the registrations go (fs/userfaultfd.c:userfaultfd_release()).
  plan.phase("pages are there");
  for (const Operand& ours : userfaultfds) plan.call(kSelf, SYS_close, {ours});
}

}  // namespace bpfckpt::restore
