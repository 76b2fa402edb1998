// SPDX-License-Identifier: Apache-2.0
// Huge pages turned off but where they are asked for (PR_THP_DISABLE_EXCEPT_ADVISED): which of the two it
// was, also of a child that has turned them off for good.
#include <sys/prctl.h>
#include <sys/wait.h>

#include "harness/cr_test.h"

namespace {

constexpr unsigned long kExceptAdvised = 2;

int thp_disabled() {
  return ::prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0);
}

}  // namespace

void cr::test() {
  if (::prctl(PR_SET_THP_DISABLE, 1, kExceptAdvised, 0, 0) != 0) skip("thp-except-advised");
  int end[2];
  REQUIRE(::pipe(end) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    char byte;
    ::close(end[1]);
    if (::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) != 0) ::_exit(99);
    ::_exit(::read(end[0], &byte, 1) == 0 ? thp_disabled() : 98);
  }
  ::close(end[0]);
  ::usleep(20'000);

  checkpoint_here();

  CHECK_EQ(thp_disabled(), 3);
  ::close(end[1]);
  int status = 0;
  CHECK_EQ(::waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status));
  CHECK_EQ(WEXITSTATUS(status), 1);
}
