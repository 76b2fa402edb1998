// SPDX-License-Identifier: Apache-2.0
// How pages come from the image into place.
//
// Each process reads its own, with preadv(2), all at the same time. What it costs is the first touch of the
// memory, a fault a page; two who do it in one address space take little more than half the time. So of large
// ones bpfckpt, which has nothing else to do, copies its share from outside (FillPages).
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <map>

#include "model/page_pieces.h"
#include "model/vm_flags.h"
#include "model/vmas.h"
#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

constexpr std::uint64_t kHugePage = 2 << 20;
constexpr std::uint64_t kBytesPerCall = 1u << 30;  // preadv(2) moves at most 0x7ffff000

// One process's pages to read.
struct Reading {
  Actor pid = 0;
  const pb::AddressSpace* mm = nullptr;
  std::vector<pb::PageRun> runs;
  std::uint64_t bytes = 0;
};

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
}

// A huge page that is touched anywhere is there as a whole: it would put memory where there was none. Where
// that cannot be, huge pages come back, if the process had asked for them before.
void plan_huge_pages(PlanBuilder& plan, Actor pid, const pb::AddressSpace& mm, const RestorePolicy& policy) {
  const bool holes = !is_watched(mm) && has_holes(mm);
  // Until plan_memory_end().
  if (is_watched(mm) || (holes && policy.huge_pages_unasked))
    plan.call(pid, SYS_prctl, {PR_SET_THP_DISABLE, 1, 0, 0, 0}, holes ? "for the holes" : "for userfaultfd");
  if (is_watched(mm) || holes) return;
  for (const pb::Vma& vma : mm.vmas())
    if ((vma.flags() & vm::kHugePage) != 0)
      plan.try_call(pid, SYS_madvise, {vma.start(), vma.end() - vma.start(), MADV_HUGEPAGE}, "huge pages");
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
    for (const pb::PageRun& run : reading.runs) reading.bytes += run.count() * kPage;
    if (reading.bytes >= kLargeBytes) large++;
    plan_huge_pages(plan, reading.pid, *mm, planning.policy);
    readings.push_back(std::move(reading));
  }
  // What bpfckpt copies waits for nobody of the phase.
  plan.phase("pages");
  for (const Reading& reading : readings) plan_reading(plan, reading, own_share(reading.bytes, large));
}

}  // namespace bpfckpt::restore
