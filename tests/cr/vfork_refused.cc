// SPDX-License-Identifier: Apache-2.0
// A parent that waits for its vfork child cannot be stopped: dump says which one it is once the time is up,
// and lets everything go.
#include <sys/wait.h>

#include "harness/cr_test.h"

void cr::test() {
  Child parent([] {
    int status = 0;
    // vfork's child must do nothing but calls that leave the shared memory alone.
    const pid_t pid = ::vfork();
    if (pid == 0) {
      for (int i = 0; i < 20'000 && !released(); ++i) ::usleep(1000);
      ::_exit(5);
    }
    CHECK_EQ(::waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 5);
  });
  wait_state(parent.pid(), 'D');
  checkpoint_here();
  parent.join();
}

cr::Options cr::options() {
  return {.dump_args = {"--timeout", "1"}, .refused = "vfork"};
}
