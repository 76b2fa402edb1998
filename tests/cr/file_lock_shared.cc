// SPDX-License-Identifier: Apache-2.0
// Locks of a description, by flock(2) and OFD: one lock, whoever has it by dup and fork, also when the
// process that took it is gone; given up by any of them; none of theirs stands in their own way.
#include <sys/file.h>

#include "harness/cr_locks.h"

namespace {

using namespace cr;

int again(const char* name, int flags = O_RDWR) {
  return ::open((directory() + "/" + name).c_str(), flags);
}

bool locked(int fd, int operation) {
  if (::flock(fd, operation | LOCK_NB) == 0) return false;
  CHECK_EQ(errno, EWOULDBLOCK);
  return true;
}

// By somebody else, who lets go of it at once.
bool locked(const char* name, int operation, int flags = O_RDWR) {
  const int fd = again(name, flags);
  const bool refused = locked(fd, operation);
  ::close(fd);
  return refused;
}

}  // namespace

void cr::test() {
  const int exclusive = make_file("exclusive"), shared = make_file("shared"),
            ranges = make_file("ranges", "0123456789");
  const int copy = ::dup(exclusive);
  const int other_shared = again("shared", O_RDONLY);
  const std::string place = directory() + "/place";
  REQUIRE(::mkdir(place.c_str(), 0755) == 0);
  const int directory_fd = ::open(place.c_str(), O_RDONLY | O_DIRECTORY);
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  // Taken by a process that does not live to see the checkpoint.
  Child taker([&] { REQUIRE(::flock(exclusive, LOCK_EX) == 0); });
  taker.join();
  REQUIRE(::flock(shared, LOCK_SH) == 0 && ::flock(other_shared, LOCK_SH) == 0);
  REQUIRE(::flock(directory_fd, LOCK_EX) == 0 && ::flock(pipe[0], LOCK_EX) == 0);
  REQUIRE(lock(ranges, F_OFD_SETLK, F_WRLCK, 2, 3) && lock(ranges, F_OFD_SETLK, F_RDLCK, 8, 5));
  REQUIRE(lock(ranges, F_SETLK, F_WRLCK, 20, 5));  // POSIX on the same file
  Child child([&] {
    ::close(exclusive);
    wait_released();
    CHECK(!locked(copy, LOCK_EX));  // its own
    CHECK(lock(ranges, F_OFD_SETLK, F_WRLCK, 2, 3));
    await_file("seen");
    CHECK(lock(ranges, F_OFD_SETLK, F_UNLCK, 2, 3));
    CHECK_EQ(::flock(copy, LOCK_UN), 0);
  });
  await_waiting(1);
  checkpoint_here();
  CHECK(locked("exclusive", LOCK_SH));
  CHECK(locked("shared", LOCK_EX) && !locked("shared", LOCK_SH));
  CHECK(locked("place", LOCK_SH, O_RDONLY | O_DIRECTORY));
  CHECK(locked(pipe[1], LOCK_SH));  // the ends are two descriptions of one inode
  const int prober = again("ranges");
  CHECK_EQ(held(prober, F_RDLCK, 0, 10, F_OFD_GETLK), (Held{F_WRLCK, 2, 3, -1}));
  CHECK_EQ(held(prober, F_WRLCK, 5, 15, F_OFD_GETLK), (Held{F_RDLCK, 8, 5, -1}));
  CHECK_EQ(held(prober, F_RDLCK, 13, 0, F_OFD_GETLK), (Held{F_WRLCK, 20, 5, ::getpid()}));
  // One of two shared locks goes; with it the last obstacle but the other.
  CHECK_EQ(::flock(other_shared, LOCK_UN), 0);
  CHECK(!locked(shared, LOCK_EX));
  CHECK(locked(other_shared, LOCK_SH));
  touch_file("seen");
  child.join();
  CHECK(!held(prober, F_RDLCK, 0, 5, F_OFD_GETLK));
  CHECK(!locked(again("exclusive"), LOCK_EX));
  CHECK(locked(copy, LOCK_EX));
}

cr::Options cr::options() {
  return {.dump_args = {"-l"},
          .restore_args = {"-l"},
          // Which process took the first one: it is gone. Inode of the pipe: another one.
          .ignore = {"*/fd/3/lock", "*/fd/6/lock", "*/fd/9/lock"}};
}
