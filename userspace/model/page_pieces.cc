// SPDX-License-Identifier: Apache-2.0
#include "model/page_pieces.h"

#include <algorithm>

#include "model/page_place.h"

namespace bpfckpt {
namespace {

constexpr std::uint64_t kPageBytes = 4096;

}  // namespace

std::uint64_t PagePieces::offset() const {
  return PagePlace::of(runs_[at_].index() + done_).page * kPageBytes;
}

PagePieces::Piece PagePieces::next(std::uint64_t most_bytes) {
  Piece piece;
  while (at_ < runs_.size() && piece.parts.size() < kMostParts && piece.bytes < most_bytes) {
    const pb::PageRun& run = runs_[at_];
    const PagePlace place = PagePlace::of(run.index() + done_);
    const std::uint64_t offset = place.page * kPageBytes;
    if (piece.parts.empty()) {
      piece.image = place.image;
      piece.offset = offset;
    } else if (piece.image != place.image || piece.offset + piece.bytes != offset) {
      break;
    }
    const std::uint64_t count =
        std::min<std::uint64_t>(run.count() - done_, (most_bytes - piece.bytes) / kPageBytes);
    piece.parts.push_back({reinterpret_cast<void*>(run.start() + done_ * kPageBytes), count * kPageBytes});
    piece.bytes += count * kPageBytes;
    done_ += count;
    if (done_ == run.count()) {
      at_++;
      done_ = 0;
    }
  }
  return piece;
}

std::uint64_t own_share(std::uint64_t bytes, std::uint64_t large) {
  if (bytes < kLargeBytes) return bytes;
  // bpfckpt is one more.
  return bytes - bytes / (large + 1) / kPageBytes * kPageBytes;
}

}  // namespace bpfckpt
