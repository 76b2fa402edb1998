// SPDX-License-Identifier: Apache-2.0
// Which pages of an address space have to be taken: private pages that hold something of their own.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "model/model.h"

namespace bpfckpt::dump {

inline constexpr std::uint64_t kPageBytes = 4096;

struct PageRange {
  std::uint64_t start = 0;  // [start, end), page-aligned
  std::uint64_t end = 0;
};

// Gives out places in the one page image of a checkpoint. A page frame that several address spaces still
// share copy-on-write gets one place.
class PageAllocator {
 public:
  // True if frames are looked at: it costs a look at each page, and only kin share.
  explicit PageAllocator(bool find_shared) : find_shared_(find_shared) {}

  // Appends to mm.pages() the runs for `ranges`; to `fresh` those that nobody has written yet. `pagemap` is
  // /proc/PID/pagemap.
  Result<void> place(int pagemap, const std::vector<PageRange>& ranges, pb::AddressSpace& mm,
                     std::vector<pb::PageRun>& fresh);

  std::uint64_t pages() const { return next_; }
  std::uint64_t shared() const { return shared_; }

 private:
  bool find_shared_;
  std::uint64_t next_ = 0;
  std::uint64_t shared_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> by_frame_;  // page frame number -> place
};

// The ranges of pages to take, ascending: by the PAGEMAP_SCAN ioctl, or by reading the pagemap where the
// kernel has none (before 6.7). Precondition: the process is frozen.
Result<std::vector<PageRange>> scan_pages(int pagemap, pb::AddressSpace& mm);

}  // namespace bpfckpt::dump
