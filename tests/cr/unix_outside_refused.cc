// SPDX-License-Identifier: Apache-2.0
// A connection to a process outside of the tree: refused, by the number of that socket.
#include <sys/wait.h>

#include "harness/cr_unix.h"

cr::Options cr::options() {
  return {.refused = "is outside of the tree"};
}

void cr::test() {
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  // An orphan in a session of its own, once its parent is gone.
  const pid_t child = ::fork();
  if (child == 0) {
    if (::fork() == 0) {
      ::setsid();
      ::close(pair[0]);
      char byte;
      while (::read(pair[1], &byte, 1) > 0) continue;
      ::_exit(0);
    }
    ::_exit(0);
  }
  ::waitpid(child, nullptr, 0);
  ::close(pair[1]);
  checkpoint_here();
  ::close(pair[0]);
}
