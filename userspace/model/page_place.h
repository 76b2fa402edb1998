// SPDX-License-Identifier: Apache-2.0
// PageRun.index: which image of an address space, and which page of it.
//
// What is shared has one index, and consecutive pages of one image have consecutive ones, so that most who
// handle indices need not know of this.
#pragma once

#include <cstdint>

namespace bpfckpt {

struct PagePlace {
  static constexpr unsigned kPageBits = 40;  // more than a file can have

  std::uint64_t image = 0;  // index into AddressSpace.page_images
  std::uint64_t page = 0;

  static PagePlace of(std::uint64_t index) {
    return {index >> kPageBits, index & ((std::uint64_t{1} << kPageBits) - 1)};
  }
  std::uint64_t index() const { return image << kPageBits | page; }
};

}  // namespace bpfckpt
