// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>

namespace bpfckpt {

class Stopwatch {
 public:
  std::uint64_t us() const {
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start_).count());
  }
  void restart() { start_ = Clock::now(); }
  // Time since the start or the last lap.
  std::uint64_t lap_us() {
    const std::uint64_t lap = us();
    restart();
    return lap;
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

}  // namespace bpfckpt
