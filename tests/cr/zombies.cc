// SPDX-License-Identifier: Apache-2.0
// Children that ended but were not waited for: pid, how they ended, and by whose id, as waitid tells it.
#include <signal.h>
#include <sys/wait.h>

#include "harness/cr_test.h"

namespace {

void expect(pid_t pid, int code, int status, uid_t uid) {
  siginfo_t info{};
  CHECK_EQ(::waitid(P_PID, pid, &info, WEXITED), 0);
  CHECK_EQ(info.si_pid, pid);
  CHECK_EQ(info.si_code, code);
  CHECK_EQ(info.si_status, status);
  CHECK_EQ(info.si_uid, uid);
}

}  // namespace

void cr::test() {
  const pid_t exited = ::fork();
  if (exited == 0) ::_exit(42);
  const pid_t killed = ::fork();
  if (killed == 0) ::kill(::getpid(), SIGKILL);
  const pid_t other_user = ::fork();
  if (other_user == 0) ::_exit(::setuid(1234) == 0 ? 0 : 1);
  const pid_t named = ::fork();
  if (named == 0) {
    ::setsid();
    ::_exit(255);
  }
  // A zombie below a living child.
  Child parent([] {
    const pid_t pid = ::fork();
    if (pid == 0) ::_exit(9);
    wait_state(pid, 'Z');
    wait_released();
    expect(pid, CLD_EXITED, 9, 0);
  });
  for (const pid_t pid : {exited, killed, other_user, named}) wait_state(pid, 'Z');
  await_waiting(1);
  checkpoint_here();
  expect(killed, CLD_KILLED, SIGKILL, 0);
  expect(exited, CLD_EXITED, 42, 0);
  expect(named, CLD_EXITED, 255, 0);
  expect(other_user, CLD_EXITED, 0, 1234);
  parent.join();
  CHECK_EQ(::wait(nullptr), -1);
  CHECK_EQ(errno, ECHILD);
}
