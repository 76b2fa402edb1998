// SPDX-License-Identifier: Apache-2.0
// Close-on-exec belongs to the descriptor, not to what it leads to, and works at the next exec.
#include "harness/cr_memory.h"

void cr::test() {
  const int keeps = make_file("data", "x");
  const int closes = ::fcntl(keeps, F_DUPFD_CLOEXEC, 100);
  REQUIRE(closes == 100);
  int pipe[2];
  REQUIRE(::pipe2(pipe, O_CLOEXEC) == 0);
  checkpoint_here();
  CHECK_EQ(::fcntl(keeps, F_GETFD), 0);
  CHECK_EQ(::fcntl(closes, F_GETFD), FD_CLOEXEC);
  CHECK_EQ(::fcntl(pipe[0], F_GETFD), FD_CLOEXEC);
  const std::string script = "test -e /proc/self/fd/" + std::to_string(keeps) +
                             " && ! test -e /proc/self/fd/100 && ! test -e /proc/self/fd/" +
                             std::to_string(pipe[1]);
  CHECK_EQ(std::system(script.c_str()), 0);
}
