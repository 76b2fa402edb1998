// SPDX-License-Identifier: Apache-2.0
// A thread of the kernel's that submits for a process acts with credentials that a restore cannot give it.
#include "harness/cr_memory.h"
#include "harness/cr_uring.h"

void cr::test() {
  REQUIRE(::syscall(SYS_setresuid, -1, 65534, -1) == 0);
  Uring ring(4, IORING_SETUP_SQPOLL, 10);
  REQUIRE(::syscall(SYS_setresuid, -1, 0, -1) == 0);
  ring.go_round(3);

  checkpoint_here();

  ring.check_works(3, 3);
}

// The thread goes on polling while the tree is looked at.
cr::Options cr::options() {
  return {.ignore = {"*/fd/*/SqThreadCpu", "*/fd/*/SqTotalTime", "*/fd/*/SqWorkTime"},
          .refused = "acts with credentials that are not bpfckpt's own"};
}
