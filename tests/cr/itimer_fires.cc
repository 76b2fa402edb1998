// SPDX-License-Identifier: Apache-2.0
// A periodic alarm that is due again and again during the checkpoints: it is neither lost nor does it kill
// anyone.
#include <signal.h>
#include <sys/time.h>

#include "harness/cr_test.h"

namespace {
volatile sig_atomic_t fired = 0;
}

void cr::test() {
  struct sigaction action{};
  action.sa_handler = [](int) { fired = fired + 1; };
  action.sa_flags = SA_RESTART;
  REQUIRE(::sigaction(SIGALRM, &action, nullptr) == 0);
  const itimerval period{{0, 5000}, {0, 5000}};
  REQUIRE(::setitimer(ITIMER_REAL, &period, nullptr) == 0);
  checkpoint_here();
  const int before = fired;
  CHECK(before > 0);
  for (int i = 0; i < 3000 && fired < before + 5; ++i) ::usleep(1000);
  CHECK(fired >= before + 5);
}

cr::Options cr::options() {
  // A signal may be pending, or blocked while its handler runs, at the moment of looking; the handler counts.
  return {.ignore = {"*/status/ShdPnd", "*/status/SigBlk", "*/stat/blocked", "*/memory"}};
}
