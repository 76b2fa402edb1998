// SPDX-License-Identifier: Apache-2.0
// The three interval timers: what is left does not grow, the interval stays, and the real one goes on firing.
#include <signal.h>
#include <sys/time.h>

#include "harness/cr_test.h"

namespace {

volatile sig_atomic_t fired = 0;

double seconds(const timeval& t) {
  return t.tv_sec + t.tv_usec / 1e6;
}

}  // namespace

void cr::test() {
  struct sigaction action{};
  action.sa_handler = [](int) { fired = fired + 1; };
  REQUIRE(::sigaction(SIGALRM, &action, nullptr) == 0);
  const itimerval real{{0, 400'000}, {60, 0}};
  const itimerval virtual_time{{5, 250'000}, {50, 500'000}};
  const itimerval prof{{0, 0}, {70, 125'000}};
  REQUIRE(::setitimer(ITIMER_REAL, &real, nullptr) == 0);
  REQUIRE(::setitimer(ITIMER_VIRTUAL, &virtual_time, nullptr) == 0);
  REQUIRE(::setitimer(ITIMER_PROF, &prof, nullptr) == 0);
  checkpoint_here();
  itimerval now{};
  REQUIRE(::getitimer(ITIMER_REAL, &now) == 0);
  CHECK_EQ(fired, 0);
  CHECK(seconds(now.it_value) <= 60 && seconds(now.it_value) > 20);
  CHECK_EQ(seconds(now.it_interval), 0.4);
  REQUIRE(::getitimer(ITIMER_VIRTUAL, &now) == 0);
  CHECK(seconds(now.it_value) <= 50.51 && seconds(now.it_value) > 40);
  CHECK_EQ(seconds(now.it_interval), 5.25);
  REQUIRE(::getitimer(ITIMER_PROF, &now) == 0);
  CHECK(seconds(now.it_value) <= 70.13 && seconds(now.it_value) > 60);
  CHECK_EQ(seconds(now.it_interval), 0.0);
  const itimerval soon{{0, 10'000}, {0, 10'000}};
  REQUIRE(::setitimer(ITIMER_REAL, &soon, nullptr) == 0);
  for (int i = 0; i < 3000 && fired < 3; ++i) ::usleep(1000);
  CHECK(fired >= 3);
}
