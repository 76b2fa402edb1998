// SPDX-License-Identifier: Apache-2.0
// Which pages of an address space have to be taken: private pages that hold something of their own.
#pragma once

#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "model/model.h"
#include "model/page_place.h"

namespace bpfckpt::dump {

inline constexpr std::uint64_t kPageBytes = 4096;

struct PageRange {
  std::uint64_t start = 0;  // [start, end), page-aligned
  std::uint64_t end = 0;
};

// Gives out places in the two page images of a checkpoint: what processes write themselves, and what bpfckpt
// writes meanwhile. A page frame that several address spaces still share copy-on-write gets one place.
class PageAllocator {
 public:
  // True if frames are looked at: it costs a look at each page, and only kin share.
  explicit PageAllocator(bool find_shared) : find_shared_(find_shared) {}

  // Appends to mm.pages() the runs for `ranges`; to `fresh` those that nobody has written yet, the first
  // `own` pages of them in image 0, the others in image 1. `pagemap` is /proc/PID/pagemap.
  Result<void> place(int pagemap, const std::vector<PageRange>& ranges, std::uint64_t own,
                     pb::AddressSpace& mm, std::vector<pb::PageRun>& fresh);

  std::uint64_t pages() const { return next_[0].page + next_[1].page; }
  std::uint64_t shared() const { return shared_; }

 private:
  bool find_shared_;
  std::array<PagePlace, 2> next_{PagePlace{0, 0}, PagePlace{1, 0}};
  std::uint64_t shared_ = 0;
  std::unordered_map<std::uint64_t, std::uint64_t> by_frame_;  // page frame number -> place
};

// The ranges of pages to take, ascending: by the PAGEMAP_SCAN ioctl, or by reading the pagemap where the
// kernel has none (before 6.7). Precondition: the process is frozen.
Result<std::vector<PageRange>> scan_pages(int pagemap, pb::AddressSpace& mm);

}  // namespace bpfckpt::dump
