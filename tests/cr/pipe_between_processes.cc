// SPDX-License-Identifier: Apache-2.0
// A ring of processes that pass a token through pipes, each holding only its two ends: nothing is lost or
// doubled, and the end of file comes when the last writer goes, so nobody else holds an end open.
#include "harness/cr_memory.h"

void cr::test() {
  constexpr int kProcesses = 6;
  int pipes[kProcesses][2];
  for (int(&pipe)[2] : pipes) REQUIRE(::pipe(pipe) == 0);
  std::vector<Child> ring;
  for (int i = 1; i < kProcesses; ++i) {
    ring.emplace_back([&, i] {
      for (int k = 0; k < kProcesses; ++k) {
        if (k != i - 1) ::close(pipes[k][0]);
        if (k != i) ::close(pipes[k][1]);
      }
      int token = 0;
      while (::read(pipes[i - 1][0], &token, sizeof(token)) == sizeof(token)) {
        ++token;
        REQUIRE(::write(pipes[i][1], &token, sizeof(token)) == sizeof(token));
      }
    });
  }
  for (int k = 0; k < kProcesses; ++k) {
    if (k != kProcesses - 1) ::close(pipes[k][0]);
    if (k != 0) ::close(pipes[k][1]);
  }
  auto round = [&](int start) {
    int token = start;
    CHECK_EQ(::write(pipes[0][1], &token, sizeof(token)), static_cast<ssize_t>(sizeof(token)));
    CHECK_EQ(::read(pipes[kProcesses - 1][0], &token, sizeof(token)), static_cast<ssize_t>(sizeof(token)));
    CHECK_EQ(token, start + kProcesses - 1);
  };
  round(100);
  for (const Child& child : ring) wait_in_syscall(child.pid(), SYS_read);
  checkpoint_here();
  round(200);
  round(300);
  ::close(pipes[0][1]);
  for (Child& child : ring) child.join();
  int token;
  CHECK_EQ(::read(pipes[kProcesses - 1][0], &token, sizeof(token)), 0);
}
