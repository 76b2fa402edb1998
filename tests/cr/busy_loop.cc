// SPDX-License-Identifier: Apache-2.0
// A program that computes all the time goes on computing where it was, and no step is lost or done twice.
#include <unistd.h>

#include <atomic>
#include <thread>

#include "harness/cr_test.h"

void cr::test() {
  std::atomic<bool> started{false}, stop{false};
  std::uint64_t steps = 0, sum = 0;
  std::thread worker([&] {
    started = true;
    while (!stop.load(std::memory_order_relaxed)) {
      ++steps;
      sum += steps;
    }
  });
  while (!started) ::usleep(100);
  checkpoint_here();
  stop = true;
  worker.join();
  CHECK(steps > 0);
  CHECK_EQ(sum, steps % 2 == 0 ? steps / 2 * (steps + 1) : (steps + 1) / 2 * steps);
}

cr::Options cr::options() {
  // The worker counts on its stack.
  return {.ignore = {"*/memory"}};
}
