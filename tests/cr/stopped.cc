// SPDX-License-Identifier: Apache-2.0
// A group-stopped process stays stopped, keeps what is pending, and SIGCONT lets it go on; one with several
// threads likewise. The one that SIGTTIN stops is in a group of its own: an orphaned group ignores that
// signal.
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "harness/cr_test.h"

namespace {
volatile sig_atomic_t terminated = 0;
}

void cr::test() {
  struct sigaction action{};
  action.sa_handler = [](int) { terminated = 1; };
  REQUIRE(::sigaction(SIGTERM, &action, nullptr) == 0);
  auto body = [] {
    std::thread other([] { wait_released(); });
    while (terminated == 0) ::usleep(1000);
    other.join();
  };
  Child stopped(body), by_terminal(body);
  REQUIRE(::setpgid(by_terminal.pid(), by_terminal.pid()) == 0);
  await_waiting(2);
  REQUIRE(::kill(stopped.pid(), SIGSTOP) == 0 && ::kill(by_terminal.pid(), SIGTTIN) == 0);
  wait_state(stopped.pid(), 'T');
  wait_state(by_terminal.pid(), 'T');
  REQUIRE(::kill(stopped.pid(), SIGTERM) == 0 && ::kill(by_terminal.pid(), SIGTERM) == 0);
  checkpoint_here();
  ::usleep(50'000);
  wait_state(stopped.pid(), 'T');
  wait_state(by_terminal.pid(), 'T');
  for (Child* child : {&stopped, &by_terminal}) {
    REQUIRE(::kill(child->pid(), SIGCONT) == 0);
    child->join();
  }
}
