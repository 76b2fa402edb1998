// SPDX-License-Identifier: Apache-2.0
// A process outside of the tree has the locked description as well: the lock would stay with it.
#include <sys/file.h>

#include "harness/cr_locks.h"

void cr::test() {
  const int fd = make_file("locked");
  REQUIRE(::flock(fd, LOCK_EX) == 0);
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  Child parent([&] {
    if (::fork() != 0) return;
    ::close(pipe[1]);
    char byte;
    ::_exit(::read(pipe[0], &byte, 1) == 0 ? 0 : 1);  // until the tree is gone
  });
  parent.join();
  ::close(pipe[0]);
  checkpoint_here();
  const int other = ::open((directory() + "/locked").c_str(), O_RDWR);
  CHECK(::flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
}

cr::Options cr::options() {
  return {.dump_args = {"-l"}, .refused = "a lock (1 by flock()) is shared with a process outside"};
}
