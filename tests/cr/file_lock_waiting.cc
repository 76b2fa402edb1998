// SPDX-License-Identifier: Apache-2.0
// Processes of the tree that wait for locks of others of the tree go on waiting, and get them.
#include <sys/file.h>

#include "harness/cr_locks.h"

void cr::test() {
  const int fd = make_file("locked"), flocked = make_file("flocked"), open_file = make_file("open-file");
  REQUIRE(lock(fd, F_SETLK, F_WRLCK, 0, 100) && ::flock(flocked, LOCK_EX) == 0);
  REQUIRE(lock(open_file, F_OFD_SETLK, F_WRLCK, 0, 0));
  const pid_t parent = ::getpid();
  Child posix([&] {
    CHECK(lock(fd, F_SETLKW, F_RDLCK, 50, 10));
    CHECK_EQ(held(fd, F_WRLCK, 0, 0), (Held{F_WRLCK, 0, 20, parent}));
  });
  Child flock([&] {
    const int own = ::open((directory() + "/flocked").c_str(), O_RDONLY);
    CHECK_EQ(::flock(own, LOCK_SH), 0);
  });
  Child description([&] {
    const int own = ::open((directory() + "/open-file").c_str(), O_RDWR);
    CHECK(lock(own, F_OFD_SETLKW, F_WRLCK, 10, 10));
  });
  wait_in_syscall(posix.pid(), SYS_fcntl);
  wait_in_syscall(flock.pid(), SYS_flock);
  wait_in_syscall(description.pid(), SYS_fcntl);
  checkpoint_here();
  // They still wait; nobody has gone on.
  wait_in_syscall(posix.pid(), SYS_fcntl);
  wait_in_syscall(flock.pid(), SYS_flock);
  wait_in_syscall(description.pid(), SYS_fcntl);
  CHECK(lock(fd, F_SETLK, F_UNLCK, 20, 0));
  posix.join();
  CHECK_EQ(::flock(flocked, LOCK_UN), 0);
  flock.join();
  CHECK(lock(open_file, F_OFD_SETLK, F_UNLCK, 0, 0));
  description.join();
}

cr::Options cr::options() {
  return {.dump_args = {"-l"}, .restore_args = {"-l"}};
}
