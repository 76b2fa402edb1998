// SPDX-License-Identifier: Apache-2.0
// Descriptors that came from dup and fork share one position and one set of status flags; a second opening
// does not.
#include "harness/cr_memory.h"

void cr::test() {
  const int fd = make_file("data", "0123456789");
  const int copy = ::dup(fd);
  const int own = ::open((directory() + "/data").c_str(), O_RDWR);
  REQUIRE(::fcntl(copy, F_SETFD, FD_CLOEXEC) == 0);
  Child child([&] {
    ::close(fd);
    wait_released();
    CHECK_EQ(::lseek(copy, 0, SEEK_CUR), 5);
    CHECK_EQ(::lseek(copy, 8, SEEK_SET), 8);
    CHECK_EQ(::fcntl(copy, F_SETFL, O_APPEND), 0);
  });
  REQUIRE(::lseek(fd, 5, SEEK_SET) == 5 && ::lseek(own, 2, SEEK_SET) == 2);
  await_waiting(1);
  checkpoint_here();
  child.join();
  CHECK_EQ(::lseek(fd, 0, SEEK_CUR), 8);
  CHECK_EQ(::lseek(copy, 1, SEEK_CUR), 9);
  CHECK_EQ(::lseek(fd, 0, SEEK_CUR), 9);
  CHECK_EQ(::lseek(own, 0, SEEK_CUR), 2);
  CHECK(::fcntl(fd, F_GETFL) & O_APPEND);
  CHECK(!(::fcntl(own, F_GETFL) & O_APPEND));
  CHECK_EQ(::fcntl(fd, F_GETFD), 0);
  CHECK_EQ(::fcntl(copy, F_GETFD), FD_CLOEXEC);
}
