// SPDX-License-Identifier: Apache-2.0
// What only prctl(2) shows: dumpable, parent-death signal, subreaper, timer slack, THP disable, the
// machine-check policy, memory deny-write-execute; each in a process of its own or of a thread.
#include <signal.h>
#include <sys/prctl.h>

#include <thread>

#include "harness/cr_test.h"

namespace {

int get(int option) {
  int value = -1;
  CHECK_EQ(::prctl(option, &value, 0, 0, 0), 0);
  return value;
}

}  // namespace

void cr::test() {
  REQUIRE(::prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
  Child child([] {
    REQUIRE(::prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0);
    REQUIRE(::prctl(PR_SET_DUMPABLE, 0) == 0);
    REQUIRE(::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0);
    wait_released();
    CHECK_EQ(get(PR_GET_PDEATHSIG), SIGUSR2);
    CHECK_EQ(::prctl(PR_GET_DUMPABLE), 0);
    CHECK_EQ(::prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0), 1);
    CHECK_EQ(get(PR_GET_CHILD_SUBREAPER), 0);
  });
  Child adopted([] {
    // The next reaper is the root: it is one again after the restore.
    const pid_t root = ::getppid();
    Child middle([root] {
      Child orphan([root] {
        while (::getppid() != root) ::usleep(1000);
      });
      ::_exit(0);
    });
    middle.join();
    wait_released();
    const pid_t again = ::fork();
    if (again == 0) {
      if (::fork() == 0) {
        for (int i = 0; i < 2000 && ::getppid() != root; ++i) ::usleep(1000);
        CHECK_EQ(::getppid(), root);
        ::_exit(::getppid() == root ? 0 : 1);
      }
      ::_exit(0);
    }
  });
  // The root itself loses its signal, as its parent, the restoring program, ends.
  Child threaded([] {
    std::thread thread([] {
      REQUIRE(::prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0);
      REQUIRE(::prctl(PR_SET_TIMERSLACK, 123456) == 0);
      wait_released();
      CHECK_EQ(get(PR_GET_PDEATHSIG), SIGUSR1);
      CHECK_EQ(::prctl(PR_GET_TIMERSLACK), 123456);
    });
    thread.join();
    CHECK_EQ(get(PR_GET_PDEATHSIG), 0);
  });
  REQUIRE(::prctl(PR_SET_PDEATHSIG, SIGUSR2) == 0);
  REQUIRE(::prctl(PR_SET_TIMERSLACK, 77777) == 0);
  REQUIRE(::prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0);
  await_waiting(3);
  checkpoint_here();
  CHECK_EQ(get(PR_GET_CHILD_SUBREAPER), 1);
  CHECK_EQ(::prctl(PR_GET_TIMERSLACK), 77777);
  CHECK_EQ(::prctl(PR_MCE_KILL_GET, 0, 0, 0, 0), PR_MCE_KILL_EARLY);
  CHECK_EQ(get(PR_GET_PDEATHSIG), 0);
  threaded.join();
  child.join();
  adopted.join();
}
