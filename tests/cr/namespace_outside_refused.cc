// SPDX-License-Identifier: Apache-2.0
// A namespace that nobody but the descriptor keeps is refused by its type.
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include "harness/cr_test.h"

void cr::test() {
  const int own = ::open("/proc/self/ns/uts", O_RDONLY);
  REQUIRE(own >= 0);
  if (::unshare(CLONE_NEWUTS) != 0) skip("machine: unshare");
  const int other = ::open("/proc/self/ns/uts", O_RDONLY);
  REQUIRE(other >= 0 && ::setns(own, CLONE_NEWUTS) == 0);
  checkpoint_here();
  CHECK_EQ(::setns(other, CLONE_NEWUTS), 0);
}

cr::Options cr::options() {
  return {.refused = "a uts namespace ("};
}
