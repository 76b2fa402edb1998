// SPDX-License-Identifier: Apache-2.0
// A process whose root directory was removed is refused by that name.
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness/cr_test.h"

void cr::test() {
  const std::string root = directory() + "/root";
  REQUIRE(::mkdir(root.c_str(), 0755) == 0);
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    REQUIRE(::chroot(root.c_str()) == 0 && ::chdir("/") == 0 && ::write(ready[1], "x", 1) == 1);
    for (;;) ::pause();
  }
  char byte;
  REQUIRE(::read(ready[0], &byte, 1) == 1 && ::rmdir(root.c_str()) == 0);
  checkpoint_here();
  CHECK(::kill(pid, SIGKILL) == 0 && ::waitpid(pid, nullptr, 0) == pid);
}

cr::Options cr::options() {
  return {.refused = "was removed"};
}
