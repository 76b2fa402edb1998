// SPDX-License-Identifier: Apache-2.0
// Every resource limit, soft and hard, including ones that the process already exceeds and ones that would
// stop the restorer's own work if they came too early.
#include <fcntl.h>
#include <sys/resource.h>

#include "harness/cr_test.h"

void cr::test() {
  const int high = ::fcntl(1, F_DUPFD, 300);
  REQUIRE(high == 300);
  struct Wanted {
    __rlimit_resource which;
    rlim_t soft;
    rlim_t hard;
  };
  const Wanted wanted[] = {
      {RLIMIT_CPU, 1000, 2000},
      {RLIMIT_FSIZE, 1 << 20, 1 << 21},
      {RLIMIT_DATA, 1UL << 30, 1UL << 31},
      {RLIMIT_STACK, 1 << 20, 8 << 20},
      {RLIMIT_CORE, 0, 4096},
      {RLIMIT_NPROC, 1, 2},
      {RLIMIT_NOFILE, 100, 200},
      {RLIMIT_MEMLOCK, 4096, 8192},
      {RLIMIT_LOCKS, 5, 6},
      {RLIMIT_SIGPENDING, 11, 12},
      {RLIMIT_MSGQUEUE, 13, 14},
      {RLIMIT_NICE, 0, 0},
      {RLIMIT_RTPRIO, 0, 0},
      {RLIMIT_RTTIME, 1000000, 2000000},
  };
  for (const Wanted& w : wanted) {
    const rlimit limit{w.soft, w.hard};
    REQUIRE(::setrlimit(w.which, &limit) == 0);
  }
  checkpoint_here();
  for (const Wanted& w : wanted) {
    rlimit now{};
    CHECK_EQ(::getrlimit(w.which, &now), 0);
    CHECK_EQ(now.rlim_cur, w.soft);
    CHECK_EQ(now.rlim_max, w.hard);
  }
  CHECK(::fcntl(1, F_DUPFD, 100) < 0 && errno == EINVAL);
  CHECK_EQ(::fcntl(high, F_GETFD), 0);
}
