// SPDX-License-Identifier: Apache-2.0
// The parent-death signal is sent by the death of the restored parent, and by nothing before it.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "harness/cr_test.h"

namespace {
volatile sig_atomic_t deaths = 0;
}

void cr::test() {
  struct sigaction action{};
  action.sa_handler = [](int) { deaths = deaths + 1; };
  REQUIRE(::sigaction(SIGUSR1, &action, nullptr) == 0);
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  int result[2];
  REQUIRE(::pipe(result) == 0);
  Child parent([&] {
    if (::fork() == 0) {
      REQUIRE(::prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
      const pid_t parent = ::getppid();
      wait_released();
      while (::getppid() == parent) {
        CHECK_EQ(deaths, 0);
        ::usleep(1000);
      }
      for (int i = 0; i < 2000 && deaths == 0; ++i) ::usleep(1000);
      REQUIRE(::write(result[1], deaths == 1 ? "1" : "0", 1) == 1);
      ::_exit(0);
    }
    wait_released();
    ::usleep(100'000);
  });
  await_waiting(2);
  checkpoint_here();
  parent.join();
  char byte = 0;
  CHECK_EQ(::read(result[0], &byte, 1), 1);
  CHECK_EQ(byte, '1');
  CHECK(::wait(nullptr) > 0);
}
