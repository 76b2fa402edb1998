// SPDX-License-Identifier: Apache-2.0
// The whole program is checkpointed from inside a handler that interrupted a computation; the signal frame on
// the stack leads back to it.
#include <signal.h>

#include "harness/cr_test.h"

namespace {

volatile sig_atomic_t handled = 0;

void handler(int) {
  cr::checkpoint_here();
  handled = handled + 1;
}

}  // namespace

void cr::test() {
  struct sigaction action{};
  action.sa_handler = handler;
  ::sigaddset(&action.sa_mask, SIGUSR2);
  REQUIRE(::sigaction(SIGUSR1, &action, nullptr) == 0);
  sigset_t before, after;
  ::sigprocmask(SIG_SETMASK, nullptr, &before);
  double x = 1.5;
  for (int i = 0; i < 100; ++i) {
    x = x * 1.25 - 0.25;
    if (i == 50) REQUIRE(::raise(SIGUSR1) == 0);
  }
  double y = 1.5;
  for (int i = 0; i < 100; ++i) y = y * 1.25 - 0.25;
  CHECK_EQ(x, y);
  CHECK_EQ(handled, 1);
  ::sigprocmask(SIG_SETMASK, nullptr, &after);
  CHECK(std::memcmp(&before, &after, 8) == 0);
}
