// SPDX-License-Identifier: Apache-2.0
// A process whose leading thread has ended while another goes on: the leader stays behind as a zombie.
// Not supported yet, and so refused by name; the process goes on.
#include <pthread.h>
#include <sys/wait.h>

#include <thread>

#include "harness/cr_test.h"

void cr::test() {
  const pid_t pid = ::fork();
  if (pid == 0) {
    std::thread([] {
      wait_released();
      ::_exit(gettid() != ::getpid() ? 17 : 1);
    }).detach();
    ::pthread_exit(nullptr);
  }
  wait_state(pid, 'Z');
  await_waiting(1);
  checkpoint_here();
  int status = 0;
  CHECK_EQ(::waitpid(pid, &status, 0), pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 17);
}

cr::Options cr::options() {
  // The thread polls on its own stack.
  return {.ignore = {"*/memory"}, .refused = "leader"};
}
