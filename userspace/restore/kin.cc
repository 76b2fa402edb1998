// SPDX-License-Identifier: Apache-2.0
#include "restore/kin.h"

#include <algorithm>

#include "model/vm_flags.h"

namespace bpfckpt::restore {
namespace {

bool same_mapping(const pb::Vma& a, const pb::Vma& b) {
  return a.kind() == b.kind() && a.kind() != pb::SPECIAL && a.file_id() == b.file_id() &&
         a.name() == b.name() && (a.flags() & vm::kMadeByMmap) == (b.flags() & vm::kMadeByMmap) &&
         (a.file_id() == 0 || a.start() - a.file_offset() == b.start() - b.file_offset());
}

}  // namespace

LateChildren find_late_children(const Model& model, const ModelIndex& index) {
  LateChildren late;
  for (const pb::Process& process : model.tasks.processes()) {
    const pb::Process* parent = index.process(process.parent_pid());
    if (parent == nullptr || process.mm_id() == 0 || parent->mm_id() == 0) continue;
    if (parent->mm_id() == process.mm_id()) continue;  // CLONE_VM: nothing of its own
    const pb::AddressSpace* own = index.address_space(process.mm_id());
    PageLookup parents(*index.address_space(parent->mm_id()));
    for (const pb::PageRun& run : own->pages()) {
      const pb::PageRun* theirs = parents.run_at(run.start());
      // Runs of both sides are cut wherever sharing begins or ends, so the first page tells for all.
      if (theirs != nullptr && theirs->index() + (run.start() - theirs->start()) / kPage == run.index()) {
        late.insert(process.pid());
        break;
      }
    }
  }
  return late;
}

std::vector<Range> common_ranges(const pb::AddressSpace& parent_mm, const pb::AddressSpace& child_mm) {
  const auto& parent = parent_mm.vmas();
  const auto& child = child_mm.vmas();
  std::vector<Range> common;
  int i = 0, k = 0;
  while (i < parent.size() && k < child.size()) {
    std::uint64_t start = std::max(parent[i].start(), child[k].start());
    std::uint64_t end = std::min(parent[i].end(), child[k].end());
    if (start < end && same_mapping(parent[i], child[k])) common.push_back({start, end});
    if (parent[i].end() < child[k].end())
      i++;
    else
      k++;
  }
  return common;
}

void for_each_gap(std::uint64_t start, std::uint64_t end, const std::vector<Range>& ranges,
                  const std::function<void(std::uint64_t, std::uint64_t)>& visit) {
  auto it = std::ranges::partition_point(ranges, [&](const Range& r) { return r.end <= start; });
  for (; it != ranges.end() && it->start < end; ++it) {
    if (start < it->start) visit(start, it->start);
    start = std::max(start, it->end);
  }
  if (start < end) visit(start, end);
}

std::vector<pb::PageRun> pages_to_read(const pb::AddressSpace& parent, const pb::AddressSpace& child,
                                       const std::vector<Range>& common) {
  std::vector<pb::PageRun> wanted;
  PageLookup parents(parent);
  std::size_t in = 0;
  for (const pb::PageRun& run : child.pages()) {
    for (std::uint32_t i = 0; i < run.count(); i++) {
      std::uint64_t page = run.start() + i * kPage;
      while (in < common.size() && common[in].end <= page) in++;
      bool kept = in < common.size() && common[in].start <= page;
      const pb::PageRun* theirs = kept ? parents.run_at(page) : nullptr;
      std::uint64_t index = run.index() + i;
      if (theirs != nullptr && theirs->index() + (page - theirs->start()) / kPage == index) continue;
      if (!wanted.empty() && wanted.back().start() + wanted.back().count() * kPage == page &&
          wanted.back().index() + wanted.back().count() == index) {
        wanted.back().set_count(wanted.back().count() + 1);
        continue;
      }
      pb::PageRun piece;
      piece.set_start(page);
      piece.set_count(1);
      piece.set_index(index);
      wanted.push_back(piece);
    }
  }
  return wanted;
}

}  // namespace bpfckpt::restore
