// SPDX-License-Identifier: Apache-2.0
// Who may trace whom besides an ancestor, where Yama lets nobody else (PR_SET_PTRACER): a named process,
// anybody, or nobody; asked for by a thread, and tried by others without privileges.
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include <fstream>
#include <thread>

#include "harness/cr_test.h"

namespace {

void drop_privileges() {
  REQUIRE(::setgid(4321) == 0);
  REQUIRE(::setuid(4321) == 0);
  REQUIRE(::prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0);
}

bool may_trace(pid_t pid) {
  if (::ptrace(PTRACE_SEIZE, pid, nullptr, nullptr) != 0) {
    CHECK_EQ(errno, EPERM);
    return false;
  }
  REQUIRE(::ptrace(PTRACE_INTERRUPT, pid, nullptr, nullptr) == 0);
  REQUIRE(::waitpid(pid, nullptr, __WALL) == pid);
  REQUIRE(::ptrace(PTRACE_DETACH, pid, nullptr, nullptr) == 0);
  return true;
}

}  // namespace

cr::Options cr::options() {
  // A thread that is gone again has left its process a list of semaphore operations to undo, with nothing in
  // it (ipc/sem.c:copy_semundo()).
  return {.ignore = {"*/shares/sysvsem"}};
}

void cr::test() {
  int scope = -1;
  std::ifstream("/proc/sys/kernel/yama/ptrace_scope") >> scope;
  if (scope != 1) skip("machine: kernel.yama.ptrace_scope is not 1");
  // In turn, each as soon as it is written to.
  int named_turn[2], other_turn[2], done[2], end[2];
  REQUIRE(::pipe(named_turn) == 0 && ::pipe(other_turn) == 0 && ::pipe(done) == 0 && ::pipe(end) == 0);
  struct Victims {
    pid_t named = 0, any = 0, nobody = 0;
  };
  const auto stay = [&end] {
    char byte;
    wait_released();
    REQUIRE(::read(end[0], &byte, 1) == 1);
  };
  const auto tries = [&done](int turn, bool is_named) {
    drop_privileges();
    Victims victims;
    for (int i = 0; i < 2; i++) {
      REQUIRE(::read(turn, &victims, sizeof victims) == sizeof victims);
      CHECK_EQ(may_trace(victims.named), is_named);
      CHECK(may_trace(victims.any));
      CHECK(!may_trace(victims.nobody));
      REQUIRE(::write(done[1], "d", 1) == 1);
    }
  };
  Child named_tracer([&] { tries(named_turn[0], true); });
  Child other_tracer([&] { tries(other_turn[0], false); });
  const pid_t tracer = named_tracer.pid();
  Child named([&stay, tracer] {
    drop_privileges();
    std::thread([tracer] { REQUIRE(::prctl(PR_SET_PTRACER, tracer, 0, 0, 0) == 0); }).join();
    stay();
  });
  Child any([&stay] {
    drop_privileges();
    REQUIRE(::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0) == 0);
    stay();
  });
  Child nobody([&stay] {
    drop_privileges();
    REQUIRE(::prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY, 0, 0, 0) == 0);
    REQUIRE(::prctl(PR_SET_PTRACER, 0, 0, 0, 0) == 0);
    stay();
  });
  await_waiting(3);
  const Victims victims{named.pid(), any.pid(), nobody.pid()};
  const auto all_try = [&] {
    for (int turn : {named_turn[1], other_turn[1]}) {
      char byte;
      REQUIRE(::write(turn, &victims, sizeof victims) == sizeof victims);
      REQUIRE(::read(done[0], &byte, 1) == 1);
    }
  };
  all_try();
  checkpoint_here();
  all_try();
  REQUIRE(::write(end[1], "end", 3) == 3);
  for (Child* child : {&named_tracer, &other_tracer, &named, &any, &nobody}) child->join();
}
