// SPDX-License-Identifier: Apache-2.0
// Processes that share their descriptors (CLONE_FILES) have the same POSIX locks, each known by the number of
// who took it; so do threads.
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "harness/cr_locks.h"

void cr::test() {
  const int fd = make_file("locked");
  const pid_t self = ::getpid();
  std::thread([&] { REQUIRE(lock(fd, F_SETLK, F_WRLCK, 0, 10)); }).join();
  Child prober([&] {
    wait_released();
    await_file("go");
    CHECK_EQ(held(fd, F_WRLCK, 0, 20), (Held{F_WRLCK, 0, 10, self}));
    const auto other = held(fd, F_WRLCK, 20, 0);
    CHECK(other && other->type == F_RDLCK && other->start == 30 && other->len == 5 && other->pid != self);
    CHECK(other && ::kill(other->pid, 0) == 0);
    touch_file("seen");
  });
  const auto sharing =
      static_cast<pid_t>(::syscall(SYS_clone, CLONE_FILES | SIGCHLD, nullptr, nullptr, nullptr, 0));
  REQUIRE(sharing >= 0);
  if (sharing == 0) {
    REQUIRE(lock(fd, F_SETLK, F_RDLCK, 30, 5));
    wait_released();
    await_file("seen");
    // They are the other's as well.
    ::_exit(lock(fd, F_SETLK, F_UNLCK, 0, 10) && !held(fd, F_WRLCK, 0, 0) ? 0 : 1);
  }
  await_waiting(2);
  checkpoint_here();
  touch_file("go");
  prober.join();
  int status = -1;
  CHECK(::waitpid(sharing, &status, 0) == sharing && status == 0);
  Child later([&] { CHECK_EQ(held(fd, F_WRLCK, 0, 0), (Held{F_RDLCK, 30, 5, sharing})); });
  later.join();
}

cr::Options cr::options() {
  return {.dump_args = {"-l"},
          .restore_args = {"-l"},
          // A thread that is gone left an empty list of semaphore undos; who has none seems to share it.
          .ignore = {"*/shares/sysvsem"}};
}
