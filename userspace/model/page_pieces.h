// SPDX-License-Identifier: Apache-2.0
// Runs of pages in pieces of what one preadv(2) or pwritev(2) can do, and who moves which: the process
// itself, or bpfckpt, which has nothing else to do meanwhile.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "model/model.h"

namespace bpfckpt {

class PagePieces {
 public:
  static constexpr std::size_t kMostParts =
      512;  // of IOV_MAX's 1024: several such calls fit into a slot's data

  // Pages that are neighbours in one image.
  struct Piece {
    std::vector<iovec> parts;  // addresses in the process
    std::uint64_t image = 0;   // index into AddressSpace.page_images
    std::uint64_t offset = 0;  // bytes, in the image
    std::uint64_t bytes = 0;
  };

  // `runs` outlive the object.
  explicit PagePieces(const std::vector<pb::PageRun>& runs) : runs_(runs) {}

  // Where the next piece begins, in its image. Precondition: not empty().
  std::uint64_t offset() const;
  bool empty() const { return at_ == runs_.size(); }
  // At most that many bytes, which are at least a page. Precondition: not empty().
  Piece next(std::uint64_t most_bytes);

 private:
  const std::vector<pb::PageRun>& runs_;
  std::size_t at_ = 0;
  std::uint64_t done_ = 0;  // pages of runs_[at_]
};

// A process with as many bytes of pages as this is large: bpfckpt moves a share of them.
inline constexpr std::uint64_t kLargeBytes = 16 << 20;
// What a process moves itself of `bytes` (whole pages), where `large` processes are at it at the same time.
std::uint64_t own_share(std::uint64_t bytes, std::uint64_t large);

}  // namespace bpfckpt
