// SPDX-License-Identifier: Apache-2.0
// Rings that only the thread that made them may submit to, one a thread, mapped and in use: each is that
// thread's again, at the same place.
#include <atomic>
#include <thread>
#include <vector>

#include "harness/cr_uring.h"

using namespace cr;

void cr::test() {
  constexpr unsigned kThreads = 3;
  std::atomic<unsigned> ready = 0;
  std::vector<std::thread> threads;
  Uring mine(4, kUringSingleIssuer);
  mine.go_round(5);
  for (unsigned i = 0; i < kThreads; i++)
    threads.emplace_back([&ready, i] {
      Uring ring(8, kUringSingleIssuer);
      ring.go_round(11 + i);
      ring.prepare(IORING_OP_NOP, 77 + i);
      CHECK_EQ(ring.submit(), 1);  // a completion that nobody took
      ready++;
      wait_released();
      auto completion = ring.take();
      CHECK(completion && completion->user_data == 77 + i);
      ring.check_works(12 + i, 12 + i);
    });
  while (ready != kThreads) ::usleep(1000);

  checkpoint_here();

  mine.check_works(5, 5);
  for (std::thread& thread : threads) thread.join();
}
