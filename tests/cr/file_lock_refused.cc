// SPDX-License-Identifier: Apache-2.0
// A held lock is refused without --file-locks, and is still held afterwards.
#include <sys/file.h>

#include "harness/cr_memory.h"

void cr::test() {
  const int fd = make_file("locked");
  REQUIRE(::flock(fd, LOCK_EX) == 0);
  checkpoint_here();
  const int other = ::open((directory() + "/locked").c_str(), O_RDWR);
  CHECK(::flock(other, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK);
}

cr::Options cr::options() {
  return {.refused = "lock"};
}
