// SPDX-License-Identifier: Apache-2.0
// A pidfd of a process that does not travel is refused, and goes on working.
#include "harness/cr_test.h"

void cr::test() {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, 1, 0));
  REQUIRE(fd >= 0);
  checkpoint_here();
  CHECK(::syscall(SYS_pidfd_send_signal, fd, 0, nullptr, 0) == 0 || errno == EPERM);
}

cr::Options cr::options() {
  return {.refused = "a pidfd of process 1, which is outside of the tree"};
}
