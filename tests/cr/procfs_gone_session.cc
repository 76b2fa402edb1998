// SPDX-License-Identifier: Apache-2.0
// An open file of /proc shows a process that was the leader of a session and of a group, is gone, and left a
// process behind in both.
#include <sys/prctl.h>
#include <sys/wait.h>

#include "harness/cr_memory.h"

void cr::test() {
  int numbers[2];
  REQUIRE(::pipe(numbers) == 0);
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0);
  const pid_t leader = ::fork();
  REQUIRE(leader >= 0);
  if (leader == 0) {
    REQUIRE(::setsid() > 0);
    Child member([leader = ::getpid()] {
      wait_released();
      CHECK(::getsid(0) == leader && ::getpgrp() == leader);
    });
    const pid_t pid = member.pid();
    REQUIRE(::write(numbers[1], &pid, sizeof(pid)) == sizeof(pid));
    for (;;) ::pause();
  }
  pid_t member = 0;
  REQUIRE(::read(numbers[0], &member, sizeof(member)) == sizeof(member));
  await_waiting(1);
  const int fd = ::open(("/proc/" + std::to_string(leader) + "/mountinfo").c_str(), O_RDONLY);
  REQUIRE(fd >= 0 && ::kill(leader, SIGKILL) == 0 && ::waitpid(leader, nullptr, 0) == leader);
  checkpoint_here();
  char byte;
  CHECK_EQ(::read(fd, &byte, 1), 1);
  CHECK(::kill(leader, 0) < 0 && errno == ESRCH);
  int status = -1;
  CHECK_EQ(::waitpid(member, &status, 0), member);
  CHECK_EQ(status, 0);
}

cr::Options cr::options() {
  return {.ignore = {"*/fd/*/link", "*/fd/*/object"}};
}
