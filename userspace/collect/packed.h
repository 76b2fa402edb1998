// SPDX-License-Identifier: Apache-2.0
// Records that are kept for a while, small: of most, another process has one much like it. Of a machine's
// thousands of processes, to touch fresh memory costs more than to read them from the kernel.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "collect/records.h"

namespace bpfckpt::collect {

class PackedRecords {
 public:
  // Records that follow one another, each as the address of a pattern of its length, and of each 64 words a
  // mask of those that are others than the pattern's, and these (exclusive or).
  using Run = std::span<const std::uint64_t>;

  // Adds to the last of `runs`, if that is where the last record went.
  Result<void> add(const record_head& record, std::vector<Run>& runs);
  // Forgets all records but keeps the memory: runs mean nothing any more.
  void clear() { memory_.clear(); }
  // Appends the records of runs as they were.
  static Result<void> append(const std::vector<Run>& runs, Records& records);

 private:
  // What is much like one another: records of one type and length, of regular files also of one inode.
  struct Likeness {
    std::uint32_t type, length;
    std::uint64_t inode;
    bool operator==(const Likeness&) const = default;
  };
  struct Hash {
    std::size_t operator()(const Likeness& likeness) const;
  };
  Result<const record_head*> pattern_for(const record_head& record);

  Records memory_, patterns_;
  std::unordered_map<Likeness, const record_head*, Hash> known_;  // the first of each
};

}  // namespace bpfckpt::collect
