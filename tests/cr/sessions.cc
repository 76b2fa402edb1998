// SPDX-License-Identifier: Apache-2.0
// Process groups and sessions: own ones, joined ones, and ones whose leader has died long ago.
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "harness/cr_test.h"

void cr::test() {
  // Whatever is orphaned below stays in the tree.
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  Child leader([] {
    REQUIRE(::setpgid(0, 0) == 0);
    wait_released();
    CHECK_EQ(::getpgrp(), ::getpid());
  });
  while (::getpgid(leader.pid()) != leader.pid()) ::usleep(1000);
  Child member([&] {
    REQUIRE(::setpgid(0, leader.pid()) == 0);
    wait_released();
    CHECK_EQ(::getpgrp(), leader.pid());
  });
  // A session whose leader is gone, with two groups: the leader's, which has lost its leader as well, and
  // another.
  int pids[2];
  REQUIRE(::pipe(pids) == 0);
  const pid_t dead = ::fork();
  if (dead == 0) {
    ::setsid();
    for (int i = 0; i < 2; ++i) {
      const pid_t pid = ::fork();
      if (pid == 0) {
        if (i == 1) ::setpgid(0, 0);
        wait_released();
        ::_exit(::getsid(0) == dead ? 1 : 0);
      }
      if (i == 1) ::setpgid(pid, pid);
      REQUIRE(::write(pids[1], &pid, sizeof(pid)) == sizeof(pid));
    }
    ::_exit(0);
  }
  CHECK_EQ(::waitpid(dead, nullptr, 0), dead);
  pid_t orphans[2];
  REQUIRE(::read(pids[0], orphans, sizeof(orphans)) == sizeof(orphans));
  CHECK_EQ(::getsid(orphans[0]), dead);
  // A group whose leader is gone in our own session.
  const pid_t group = ::fork();
  if (group == 0) {
    ::setpgid(0, 0);
    for (;;) ::pause();
  }
  while (::getpgid(group) != group) ::usleep(1000);
  Child survivor([&] {
    REQUIRE(::setpgid(0, group) == 0);
    wait_released();
    CHECK_EQ(::getpgrp(), group);
  });
  while (::getpgid(survivor.pid()) != group) ::usleep(1000);
  ::kill(group, SIGKILL);
  CHECK_EQ(::waitpid(group, nullptr, 0), group);
  while (::getpgid(member.pid()) != leader.pid()) ::usleep(1000);
  await_waiting(5);
  checkpoint_here();
  CHECK_EQ(::getsid(orphans[0]), dead);
  CHECK_EQ(::getsid(orphans[1]), dead);
  CHECK_EQ(::getpgid(orphans[0]), dead);
  CHECK_EQ(::getpgid(orphans[1]), orphans[1]);
  // The dead leaders' numbers name nothing but their groups.
  CHECK(::kill(dead, 0) < 0 && errno == ESRCH);
  CHECK_EQ(::kill(-dead, 0), 0);
  for (int i = 0; i < 2; ++i) CHECK(::waitpid(orphans[i], nullptr, 0) == orphans[i]);
  for (Child* child : {&leader, &member, &survivor}) child->join();
}
