// SPDX-License-Identifier: Apache-2.0
// The checksum of RFC 1071: a sum of 16-bit words in ones' complement, in which the order of a word's bytes
// does not matter.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

namespace bpfckpt {

// The sum, folded to 16 bits, in the byte order of the data; on top of `sum`. A last odd byte counts as if a
// zero followed. Of what carries a checksum that is right it is 0xffff.
inline std::uint16_t internet_sum(std::span<const std::uint8_t> data, std::uint32_t sum = 0) {
  std::uint64_t all = sum;
  for (std::size_t i = 0; i < data.size(); i += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, data.data() + i, std::min<std::size_t>(2, data.size() - i));
    all += word;
  }
  while (all > 0xffff) all = (all & 0xffff) + (all >> 16);
  return static_cast<std::uint16_t>(all);
}

// What a packet carries. Never 0, which says in some protocols that there is none.
inline std::uint16_t internet_checksum(std::span<const std::uint8_t> data) {
  const auto sum = static_cast<std::uint16_t>(~internet_sum(data));
  return sum == 0 ? std::uint16_t{0xffff} : sum;
}

}  // namespace bpfckpt
