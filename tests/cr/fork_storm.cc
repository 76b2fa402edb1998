// SPDX-License-Identifier: Apache-2.0
// A tree that makes processes and threads all the time is caught nevertheless, and every one of them is
// accounted for.
#include <sys/wait.h>

#include <thread>

#include "harness/cr_test.h"

namespace {

// Forks and reaps, two deep, as fast as it can; every child must end as it should.
void fork_on() {
  int made = 0;
  while (!cr::released() || made < 50) {
    pid_t pids[3];
    for (int i = 0; i < 3; ++i) {
      pids[i] = ::fork();
      REQUIRE(pids[i] >= 0);
      if (pids[i] != 0) continue;
      if (i == 2) {
        const pid_t below = ::fork();
        if (below == 0) ::_exit(5);
        int status = 0;
        if (::waitpid(below, &status, 0) != below || WEXITSTATUS(status) != 5) ::_exit(99);
      }
      ::_exit(10 + i);
    }
    for (int i = 0; i < 3; ++i) {
      int status = 0;
      CHECK_EQ(::waitpid(pids[i], &status, 0), pids[i]);
      CHECK(WIFEXITED(status));
      CHECK_EQ(WEXITSTATUS(status), 10 + i);
    }
    made += 3;
  }
}

void thread_on() {
  std::uint64_t sum = 0, wanted = 0;
  for (std::uint64_t made = 0; !cr::released() || made < 50; ++made) {
    std::thread thread([&, made] { sum += made; });
    thread.join();
    wanted += made;
  }
  CHECK_EQ(sum, wanted);
}

}  // namespace

void cr::test() {
  Child forking(fork_on), also_forking(fork_on), threading(thread_on);
  ::usleep(50'000);
  checkpoint_here();
  forking.join();
  also_forking.join();
  threading.join();
}

cr::Options cr::options() {
  // Nothing holds still here: the processes check each other.
  return {.ignore = {"*"}};
}
