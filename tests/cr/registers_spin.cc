// SPDX-License-Identifier: Apache-2.0
// Many threads with vector registers in use, in the middle of arithmetic that shows each lost bit: a long
// chain of multiplications whose result is known.
#include <atomic>
#include <cmath>
#include <thread>

#include "harness/cr_test.h"

namespace {

// x -> 4x(1-x) is chaotic: one wrong bit anywhere gives another end.
double chain(double x, std::uint64_t steps) {
  for (std::uint64_t i = 0; i < steps; ++i) x = 4 * x * (1 - x);
  return x;
}

}  // namespace

void cr::test() {
  constexpr int kThreads = 8;
  std::atomic<bool> stop{false};
  std::atomic<int> running{0};
  double result[kThreads];
  std::uint64_t steps[kThreads] = {};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      double x = 0.1 + 0.05 * i;
      ++running;
      while (!stop.load(std::memory_order_relaxed)) {
        x = chain(x, 1000);
        steps[i] += 1000;
      }
      result[i] = x;
    });
  }
  while (running < kThreads) ::usleep(1000);
  checkpoint_here();
  stop = true;
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < kThreads; ++i) {
    CHECK(steps[i] > 0);
    double x = 0.1 + 0.05 * i;
    for (std::uint64_t done = 0; done < steps[i]; done += 1000) x = chain(x, 1000);
    CHECK_EQ(result[i], x);
  }
}

cr::Options cr::options() {
  // The threads count on their stacks and the heap.
  return {.ignore = {"*/memory"}};
}
