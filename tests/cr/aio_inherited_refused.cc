// SPDX-License-Identifier: Apache-2.0
// A child has its parent's ring as a mapping that leads nowhere; only the kernel can map it.
#include <linux/aio_abi.h>

#include "harness/cr_test.h"

void cr::test() {
  aio_context_t ring = 0;
  if (::syscall(SYS_io_setup, 4, &ring) != 0) skip("aio");
  Child child([] { wait_released(); });
  await_waiting(1);
  checkpoint_here();
  child.join();
  CHECK_EQ(::syscall(SYS_io_destroy, ring), 0);
}

cr::Options cr::options() {
  return {.refused = "it maps an AIO ring of another process"};
}
