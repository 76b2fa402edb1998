// SPDX-License-Identifier: Apache-2.0
// ctest-lock: sysv-segments
// A segment that a process outside of the tree has attached, too: refused, by that process's name.
#include <sys/wait.h>

#include "harness/cr_sysv.h"

cr::Options cr::options() {
  return {.refused = "(bpfckpt-other) has it"};
}

void cr::test() {
  const int id = segment(IPC_PRIVATE, 2 * kPage, 0600);
  char* memory = attach(id);
  REQUIRE(::shmctl(id, IPC_RMID, nullptr) == 0);
  // An orphan in a session of its own, once its parent is gone.
  const pid_t child = ::fork();
  if (child == 0) {
    if (::fork() != 0) ::_exit(0);
    ::setsid();
    const int fd = ::open("/proc/self/comm", O_WRONLY);
    REQUIRE(::write(fd, "bpfckpt-other", 13) == 13);
    memory[0] = 1;
    while (memory[0] != 2) ::usleep(1000);
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  while (memory[0] != 1) ::usleep(1000);
  checkpoint_here();
  memory[0] = 2;
}
