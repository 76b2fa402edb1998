// SPDX-License-Identifier: Apache-2.0
// POSIX locks on ranges: whose they are, of what type, which bytes; by several processes on one file, through
// descriptors that came by dup and fork; and that they can be changed and given up afterwards.
#include "harness/cr_locks.h"

void cr::test() {
  const int fd = make_file("locked", std::string(4096, 'x'));
  const int copy = ::dup(fd);
  const int reader = ::open((directory() + "/locked").c_str(), O_RDONLY);
  REQUIRE(lock(fd, F_SETLK, F_WRLCK, 100, 50));
  REQUIRE(lock(copy, F_SETLK, F_WRLCK, 500, 0));   // however long it gets
  REQUIRE(lock(reader, F_SETLK, F_RDLCK, 0, 10));  // only this description can be read through
  REQUIRE(lock(fd, F_SETLK, F_RDLCK, 150, 50));    // next to another type
  const int other = make_file("other");
  REQUIRE(lock(other, F_SETLK, F_WRLCK, 7, 1));
  const pid_t parent = ::getpid();
  Child child([&] {
    REQUIRE(lock(fd, F_SETLK, F_RDLCK, 0, 20) && lock(fd, F_SETLK, F_WRLCK, 300, 100));
    wait_released();
    CHECK_EQ(held(fd, F_WRLCK, 0, 0), (Held{F_RDLCK, 0, 10, parent}));
    CHECK_EQ(held(fd, F_RDLCK, 0, 0), (Held{F_WRLCK, 100, 50, parent}));
    CHECK_EQ(held(fd, F_WRLCK, 150, 100), (Held{F_RDLCK, 150, 50, parent}));
    CHECK_EQ(held(fd, F_RDLCK, 400, 0), (Held{F_WRLCK, 500, 0, parent}));
    CHECK_EQ(held(other, F_RDLCK, 0, 0), (Held{F_WRLCK, 7, 1, parent}));
    CHECK(!held(other, F_WRLCK, 8, 0) && !held(other, F_WRLCK, 0, 7));
    CHECK(!lock(fd, F_SETLK, F_RDLCK, 149, 1) && lock(fd, F_SETLK, F_RDLCK, 150, 1));
    CHECK(lock(fd, F_SETLK, F_UNLCK, 150, 1));
    touch_file("child");
    await_file("parent");
    CHECK(!held(fd, F_WRLCK, 100, 400) && !held(other, F_WRLCK, 0, 0));
    CHECK_EQ(held(fd, F_WRLCK, 0, 0), (Held{F_RDLCK, 0, 10, parent}));
  });
  await_waiting(1);
  checkpoint_here();
  await_file("child");
  CHECK_EQ(held(reader, F_WRLCK, 0, 0), (Held{F_RDLCK, 0, 20, child.pid()}));
  CHECK_EQ(held(reader, F_RDLCK, 0, 0), (Held{F_WRLCK, 300, 100, child.pid()}));
  CHECK(lock(fd, F_SETLK, F_RDLCK, 100, 50) && lock(fd, F_SETLK, F_WRLCK, 150, 50));
  CHECK(lock(fd, F_SETLK, F_UNLCK, 20, 300) && lock(fd, F_SETLK, F_UNLCK, 500, 0));
  CHECK_EQ(::close(::dup(other)), 0);  // all that we have on that file goes with any closing
  touch_file("parent");
  child.join();
  CHECK(!held(fd, F_WRLCK, 0, 0));
}

cr::Options cr::options() {
  return {.dump_args = {"-l"}, .restore_args = {"-l"}};
}
