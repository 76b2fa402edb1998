// SPDX-License-Identifier: Apache-2.0
// dump -R: the tree runs on afterwards, untouched, and the checkpoint is complete.
#include <thread>

#include "harness/cr_test.h"

void cr::test() {
  int counter = 0;
  std::thread sleeping([] { wait_released(); });
  await_waiting(1);
  checkpoint_here();
  sleeping.join();
  CHECK_EQ(++counter, 1);
}

cr::Options cr::options() {
  return {.dump_args = {"-R"}, .leaves_running = true};
}
