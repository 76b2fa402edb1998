// SPDX-License-Identifier: Apache-2.0
// PR_SET_IO_FLUSHER, of one thread and not of the other.
#include <linux/prctl.h>
#include <sys/prctl.h>

#include <thread>

#include "harness/cr_test.h"

void cr::test() {
  if (::prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0) < 0 && errno == EPERM) skip("machine: CAP_SYS_RESOURCE");
  std::thread flusher([] {
    REQUIRE(::prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0) == 0);
    wait_released();
    CHECK_EQ(::prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0), 1);
  });
  await_waiting(1);
  checkpoint_here();
  CHECK_EQ(::prctl(PR_GET_IO_FLUSHER, 0, 0, 0, 0), 0);
  flusher.join();
}
