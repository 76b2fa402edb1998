// SPDX-License-Identifier: Apache-2.0
// Where the bytes of an address space's pages are. Everything that reads pages asks here, so that pages can
// come from elsewhere one day (a parent checkpoint, a socket) without its readers noticing.
//
// A page that is in no run was not taken: it holds what the mapping gives by itself (the file's bytes, or
// zeros).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "image/reader.h"

namespace bpfckpt::image {

// [address, address + len_bytes) is found at `offset` of `fd`.
struct PageSpan {
  std::uint64_t address = 0;
  std::uint64_t len_bytes = 0;
  int fd = -1;  // the store's
  std::uint64_t offset = 0;
  std::uint32_t owner_mm_id =
      0;  // the address space whose image it is; another one than asked for: a shared page
};

class PageStore {
 public:
  // Opens the page files of all address spaces. The reader must outlive the store. Afterwards the store does
  // not change: any number of threads may use it.
  static Result<PageStore> open(const ImageReader& reader);

  // The spans of that address space inside of [start, end), by address, cut to it (the bounds need not be
  // those of pages); neighbours in memory and image are one span.
  std::vector<PageSpan> spans(const pb::AddressSpace& mm, std::uint64_t start, std::uint64_t end) const;
  // Fills `out` with the bytes from `address` on; what was not taken reads as zeros.
  Result<void> read(const pb::AddressSpace& mm, std::uint64_t address, std::span<std::byte> out) const;

  std::uint64_t page_size() const { return page_size_; }

 private:
  std::unordered_map<std::uint32_t, std::vector<Fd>> images_;  // by id of the address space
  std::uint64_t page_size_ = 4096;
};

}  // namespace bpfckpt::image
