// SPDX-License-Identifier: Apache-2.0
// Strict seccomp: nothing but read, write, exit and sigreturn; still so afterwards.
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "harness/cr_test.h"

namespace {

// In strict mode, which kills for anything else, exit_group(2) included.
[[noreturn]] void exit_thread(int status) {
  ::syscall(SYS_exit, status);
  __builtin_unreachable();
}

}  // namespace

void cr::test() {
  int to_child[2], from_child[2];
  REQUIRE(::pipe(to_child) == 0 && ::pipe(from_child) == 0);
  pid_t pids[2];
  for (pid_t& pid : pids) {
    pid = ::fork();
    if (pid != 0) continue;
    if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) != 0) ::_exit(1);
    char byte = 0;
    while (::syscall(SYS_read, to_child[0], &byte, 1) == 1) {
      if (byte == 'q') exit_thread(23);
      if (byte == 'x') ::syscall(SYS_getpid);
      ++byte;
      if (::syscall(SYS_write, from_child[1], &byte, 1) != 1) exit_thread(2);
    }
    exit_thread(3);
  }
  for (pid_t pid : pids) wait_in_syscall(pid, SYS_read);
  checkpoint_here();
  char byte = 'a';
  REQUIRE(::write(to_child[1], &byte, 1) == 1);
  REQUIRE(::read(from_child[0], &byte, 1) == 1);
  CHECK_EQ(byte, 'b');
  // One of them, whichever it is, does what it must not, the other one ends well.
  REQUIRE(::write(to_child[1], "x", 1) == 1);
  int status = 0;
  const pid_t killed = ::waitpid(-1, &status, 0);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  REQUIRE(::write(to_child[1], "q", 1) == 1);
  const pid_t other = ::waitpid(-1, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 23);
  CHECK((killed == pids[0] && other == pids[1]) || (killed == pids[1] && other == pids[0]));
}
