// SPDX-License-Identifier: Apache-2.0
// An address in a target's memory: another type than a pointer of ours, so that the two are never mixed up.
#pragma once

#include <compare>
#include <cstdint>

namespace bpfckpt::target {

class RemoteAddress {
 public:
  constexpr RemoteAddress() = default;
  constexpr explicit RemoteAddress(std::uint64_t value) : value_(value) {}

  constexpr std::uint64_t value() const { return value_; }
  constexpr explicit operator bool() const { return value_ != 0; }
  constexpr auto operator<=>(const RemoteAddress&) const = default;

  friend constexpr RemoteAddress operator+(RemoteAddress a, std::uint64_t bytes) {
    return RemoteAddress(a.value_ + bytes);
  }
  friend constexpr RemoteAddress operator-(RemoteAddress a, std::uint64_t bytes) {
    return RemoteAddress(a.value_ - bytes);
  }
  friend constexpr std::uint64_t operator-(RemoteAddress a, RemoteAddress b) { return a.value_ - b.value_; }

 private:
  std::uint64_t value_ = 0;
};

// [start, end)
struct RemoteRange {
  RemoteAddress start;
  RemoteAddress end;

  constexpr std::uint64_t size() const { return end - start; }
  constexpr bool contains(RemoteAddress a) const { return a >= start && a < end; }
};

}  // namespace bpfckpt::target
