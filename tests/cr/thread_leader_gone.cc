// SPDX-License-Identifier: Apache-2.0
// A process whose leading thread has ended while another goes on: the leader stays behind as a zombie.
// The process ends as its last thread does, not as the leader did.
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
  const pid_t other = ::fork();
  if (other == 0) {
    std::thread([] {
      wait_released();
      ::syscall(SYS_exit, 33);
    }).detach();
    ::syscall(SYS_exit, 42);
  }
  wait_state(other, 'Z');
  await_waiting(2);
  checkpoint_here();
  int status = 0;
  CHECK_EQ(::waitpid(pid, &status, 0), pid);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 17);
  CHECK_EQ(::waitpid(other, &status, 0), other);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 33);
}

cr::Options cr::options() {
  // The thread polls on its own stack.
  return {.ignore = {"*/memory"}};
}
