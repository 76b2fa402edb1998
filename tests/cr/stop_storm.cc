// SPDX-License-Identifier: Apache-2.0
// A child that is stopped and continued all the time, also while the tree is frozen: it is caught running,
// stopped, or with a SIGSTOP that is still pending, goes on counting, and at the end is no more stopped than
// it was told to be.
#include <signal.h>
#include <sys/wait.h>

#include "harness/cr_memory.h"

cr::Options cr::options() {
  // Between one look and the next the child may have been stopped or continued.
  return {.ignore = {"*/status/State", "*/status/ShdPnd", "*/status/SigPnd"}};
}

void cr::test() {
  auto* count = reinterpret_cast<volatile std::uint64_t*>(
      map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS));
  const pid_t counter = ::fork();
  if (counter == 0)
    for (;;) *count = *count + 1;
  Child sender([&] {
    while (!released()) {
      CHECK_EQ(::kill(counter, SIGSTOP), 0);
      CHECK_EQ(::kill(counter, SIGCONT), 0);
    }
  });
  checkpoint_here();
  sender.join();
  const std::uint64_t before = *count;
  while (*count == before) ::usleep(1000);
  CHECK_EQ(::kill(counter, SIGKILL), 0);
  int status = 0;
  CHECK_EQ(::waitpid(counter, &status, 0), counter);
  CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
