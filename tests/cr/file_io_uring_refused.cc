// SPDX-License-Identifier: Apache-2.0
// What nobody supports is refused before anything is stopped, with pid, descriptor and kind; the ring goes on
// working.
#include <linux/io_uring.h>

#include "harness/cr_memory.h"

void cr::test() {
  io_uring_params parameters{};
  const int ring = static_cast<int>(::syscall(SYS_io_uring_setup, 4, &parameters));
  if (ring < 0) skip("io-uring");
  checkpoint_here();
  CHECK_EQ(::syscall(SYS_io_uring_enter, ring, 0, 0, 0, nullptr, 0), 0);
}

cr::Options cr::options() {
  return {.refused = "io_uring"};
}
