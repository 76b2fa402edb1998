// SPDX-License-Identifier: Apache-2.0
// Records that are kept for a while, small: most of their words are zero. Of a machine's thousands of
// processes, to touch fresh memory costs more than to read them from the kernel.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "collect/records.h"

namespace bpfckpt::collect {

class PackedRecords {
 public:
  // Of each 64 words of a record a mask of those that are not zero, and these; records that follow one
  // another.
  using Run = std::span<const std::uint64_t>;

  // Adds to the last of `runs`, if that is where the last record went.
  Result<void> add(const record_head& record, std::vector<Run>& runs);
  // Appends the records of runs as they were.
  static Result<void> append(const std::vector<Run>& runs, Records& records);

 private:
  Records memory_;
};

}  // namespace bpfckpt::collect
