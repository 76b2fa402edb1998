// SPDX-License-Identifier: Apache-2.0
// How pages come from the image into place.
//
// Each process reads its own, with preadv(2), all at the same time. What it costs is the first touch of the
// memory, a fault a page; two who do it in one address space take little more than half the time. So of large
// ones bpfckpt, which has nothing else to do, copies its share from outside (FillPages).
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include <algorithm>
#include <map>

#include "model/page_place.h"
#include "model/vm_flags.h"
#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

constexpr std::size_t kIovecsPerCall = 512;
constexpr std::uint64_t kBytesPerCall = 1u << 30;  // preadv(2) moves at most 0x7ffff000
constexpr std::uint64_t kSharedFrom = 16u << 20;   // bytes of one process

// One process's pages to read.
struct Reading {
  Actor pid = 0;
  const pb::AddressSpace* mm = nullptr;
  std::vector<pb::PageRun> runs;
  std::uint64_t bytes = 0;
};

// Consecutive pages of the image, in calls of at most that many bytes.
class Pieces {
 public:
  struct Piece {
    std::vector<iovec> parts;
    std::uint64_t image = 0;   // index into AddressSpace.page_images
    std::uint64_t offset = 0;  // in the image
    std::uint64_t bytes = 0;
  };

  explicit Pieces(const std::vector<pb::PageRun>& runs) : runs_(runs) {}

  // Precondition: there are pages left.
  Piece next(std::uint64_t most_bytes) {
    Piece piece;
    while (at_ < runs_.size() && piece.parts.size() < kIovecsPerCall && piece.bytes < most_bytes) {
      const pb::PageRun& run = runs_[at_];
      const PagePlace place = PagePlace::of(run.index() + done_);
      const std::uint64_t offset = place.page * kPage;
      if (piece.parts.empty()) {
        piece.image = place.image;
        piece.offset = offset;
      } else if (piece.image != place.image || piece.offset + piece.bytes != offset) {
        break;
      }
      const std::uint64_t count =
          std::min<std::uint64_t>(run.count() - done_, (most_bytes - piece.bytes) / kPage);
      piece.parts.push_back({reinterpret_cast<void*>(run.start() + done_ * kPage), count * kPage});
      piece.bytes += count * kPage;
      done_ += count;
      if (done_ == run.count()) {
        at_++;
        done_ = 0;
      }
    }
    return piece;
  }

 private:
  const std::vector<pb::PageRun>& runs_;
  std::size_t at_ = 0;
  std::uint64_t done_ = 0;  // pages of runs_[at_]
};

// The first `own` bytes by the process itself, the others by bpfckpt.
void plan_reading(PlanBuilder& plan, const Reading& reading, std::uint64_t own) {
  std::map<std::uint64_t, Operand> pulled;
  Pieces pieces(reading.runs);
  for (std::uint64_t done = 0; done < reading.bytes;) {
    const bool by_itself = done < own;
    const Pieces::Piece piece =
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

}  // namespace

void plan_pages(Planning& planning, const std::vector<const pb::Process*>& processes) {
  PlanBuilder& plan = planning.plan;
  plan.phase("pages");
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
    if (reading.bytes >= kSharedFrom) large++;
    // Huge pages come back where they were asked for only if they are asked for before.
    for (const pb::Vma& vma : mm->vmas())
      if ((vma.flags() & vm::kHugePage) != 0 && vma.userfaultfd_file_id() == 0)
        plan.try_call(reading.pid, SYS_madvise, {vma.start(), vma.end() - vma.start(), MADV_HUGEPAGE},
                      "huge pages");
    readings.push_back(std::move(reading));
  }
  // bpfckpt is one more who reads.
  for (const Reading& reading : readings) {
    const std::uint64_t share = reading.bytes / (large + 1);
    plan_reading(plan, reading,
                 reading.bytes < kSharedFrom ? reading.bytes : reading.bytes - share / kPage * kPage);
  }
}

}  // namespace bpfckpt::restore
