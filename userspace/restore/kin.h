// SPDX-License-Identifier: Apache-2.0
// Processes that have pages in common with their parent.
//
// Pages that a child still shares with its parent cannot be put there twice: only fork(2) shares private
// pages. Such a child is "late": it is forked when its parent's pages are in place, keeps the mappings that
// are the same, lets go of the parent's other pages and reads its own over them.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <vector>

#include "model/model.h"

namespace bpfckpt::restore {

inline constexpr std::uint64_t kPage = 4096;

// Which children must be forked after their parent's memory is there, by pid.
using LateChildren = std::set<std::uint32_t>;
LateChildren find_late_children(const Model& model, const ModelIndex& index);

// Finds the run that an address is in.
class PageLookup {
 public:
  explicit PageLookup(const pb::AddressSpace& mm) : runs_(mm.pages()) {}

  // Null if it is in none. Ascending calls only.
  const pb::PageRun* run_at(std::uint64_t address) {
    while (at_ < runs_.size() && runs_[at_].start() + runs_[at_].count() * kPage <= address) at_++;
    if (at_ == runs_.size() || runs_[at_].start() > address) return nullptr;
    return &runs_[at_];
  }

 private:
  const google::protobuf::RepeatedPtrField<pb::PageRun>& runs_;
  int at_ = 0;
};

struct Range {
  std::uint64_t start, end;  // [start, end)
};

// What of each mapping parent and child have alike, ascending.
std::vector<Range> common_ranges(const pb::AddressSpace& parent, const pb::AddressSpace& child);
// What of [start, end) is in none of `ranges`, which ascend.
void for_each_gap(std::uint64_t start, std::uint64_t end, const std::vector<Range>& ranges,
                  const std::function<void(std::uint64_t, std::uint64_t)>& visit);
// The parts of the child's runs that are not there when it comes out of its fork.
std::vector<pb::PageRun> pages_to_read(const pb::AddressSpace& parent, const pb::AddressSpace& child,
                                       const std::vector<Range>& common);

}  // namespace bpfckpt::restore
