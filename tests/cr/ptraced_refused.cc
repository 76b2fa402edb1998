// SPDX-License-Identifier: Apache-2.0
// A task that is being traced by somebody else is refused by name, and its tracer keeps it.
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "harness/cr_test.h"

void cr::test() {
  const pid_t traced = ::fork();
  if (traced == 0) {
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    ::_exit(31);
  }
  int status = 0;
  REQUIRE(::waitpid(traced, &status, 0) == traced && WIFSTOPPED(status));
  checkpoint_here();
  REQUIRE(::ptrace(PTRACE_CONT, traced, nullptr, nullptr) == 0);
  CHECK_EQ(::waitpid(traced, &status, 0), traced);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 31);
}

cr::Options cr::options() {
  return {.refused = "traced"};
}
