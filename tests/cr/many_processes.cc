// SPDX-License-Identifier: Apache-2.0
// A tree of sixty processes, five deep, each with its own memory, waiting for its children and knowing its
// place.
#include <sys/wait.h>

#include "harness/cr_test.h"

namespace {

// Each node counts itself and what its children report.
int grow(int depth, pid_t parent) {
  CHECK_EQ(::getppid(), parent);
  if (depth == 0) {
    cr::wait_released();
    CHECK_EQ(::getppid(), parent);
    return 1;
  }
  const pid_t self = ::getpid();
  std::vector<pid_t> children;
  for (int i = 0; i < (depth > 3 ? 1 : 2) + (depth == 1 ? 1 : 0); ++i) {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(grow(depth - 1, self));
    children.push_back(pid);
  }
  if (depth == 5) {
    cr::await_waiting(12);
    cr::checkpoint_here();
  }
  int count = 1;
  for (const pid_t child : children) {
    int status = 0;
    CHECK_EQ(::waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status));
    count += WEXITSTATUS(status);
  }
  CHECK_EQ(::getpid(), self);
  return count;
}

}  // namespace

void cr::test() {
  CHECK_EQ(grow(5, ::getppid()), 1 + 1 + 1 + 2 + 4 + 12);
}
