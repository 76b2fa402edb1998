// SPDX-License-Identifier: Apache-2.0
// A process outside of the tree waits for a lock of the tree: it would get it as soon as the tree is gone.
#include "harness/cr_locks.h"

void cr::test() {
  const int fd = make_file("locked");
  REQUIRE(lock(fd, F_SETLK, F_WRLCK, 0, 100));
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  Child parent([&] {
    const pid_t orphan = ::fork();
    if (orphan == 0) {
      ::close(pipe[0]);
      ::close(pipe[1]);
      ::_exit(lock(fd, F_SETLKW, F_RDLCK, 50, 10) ? 0 : 1);
    }
    REQUIRE(::write(pipe[1], &orphan, sizeof orphan) == sizeof orphan);
  });
  pid_t orphan = 0;
  REQUIRE(::read(pipe[0], &orphan, sizeof orphan) == sizeof orphan);
  parent.join();
  wait_in_syscall(orphan, SYS_fcntl);
  checkpoint_here();
  wait_in_syscall(orphan, SYS_fcntl);
}

cr::Options cr::options() {
  return {.dump_args = {"-l"}, .refused = "outside of the tree waits for a lock (1 POSIX)"};
}
