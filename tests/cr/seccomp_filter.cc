// SPDX-License-Identifier: Apache-2.0
// Seccomp filters: still in force afterwards, for a thread that inherited one and added its own, for a child,
// and for a thread that gave its privileges away after it had installed its filter; sleepers whose filter
// knows no restart_syscall(2) sleep on.
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>

#include <thread>

#include "harness/cr_test.h"

namespace {

using namespace cr;

// Lets everything pass but call `number`, which fails with `error`.
void forbid(std::uint32_t number, std::uint32_t error, unsigned flags = 0) {
  sock_filter code[] = {
      {BPF_LD | BPF_W | BPF_ABS, 0, 0, 0},
      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | error},
      {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW},
  };
  const sock_fprog program{4, code};
  REQUIRE(::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) == 0);
}

// What the call gives, as an error number.
int tried(long number) {
  return ::syscall(number, -1, -1, -1, -1) < 0 ? errno : 0;
}

}  // namespace

void cr::test() {
  // Both filters are older than the thread; what the interpreter of a restore needs most is forbidden by one
  // of them.
  forbid(SYS_getppid, 71);
  forbid(SYS_futex_waitv, 72, SECCOMP_FILTER_FLAG_LOG);
  forbid(SYS_restart_syscall, 73);
  std::thread thread([] {
    forbid(SYS_sync, 74);
    CHECK_EQ(::prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), -1);
    wait_released();
    CHECK_EQ(tried(SYS_getppid), 71);
    CHECK_EQ(tried(SYS_futex_waitv), 72);
    CHECK_EQ(tried(SYS_sync), 74);
    CHECK_EQ(::prctl(PR_GET_SECCOMP, 0, 0, 0, 0), 2);
    CHECK_EQ(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
  });
  Child child([] {
    forbid(SYS_sync, 75);
    REQUIRE(::syscall(SYS_setresgid, 65534, 65534, 65534) == 0);
    REQUIRE(::syscall(SYS_setresuid, 65534, 65534, 65534) == 0);
    wait_released();
    CHECK_EQ(tried(SYS_sync), 75);
    CHECK_EQ(tried(SYS_getppid), 71);
    CHECK_EQ(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), 0);
  });
  await_waiting(2);
  checkpoint_here();
  CHECK_EQ(tried(SYS_getppid), 71);
  CHECK_EQ(tried(SYS_futex_waitv), 72);
  CHECK_EQ(tried(SYS_sync), 0);
  CHECK_EQ(::prctl(PR_GET_SECCOMP, 0, 0, 0, 0), 2);
  thread.join();
  child.join();
  // One filter for all threads is still one: new ones can be brought to all.
  std::thread late([] { wait_released(); });
  forbid(SYS_getpgrp, 76, SECCOMP_FILTER_FLAG_TSYNC);
  late.join();
  CHECK_EQ(tried(SYS_getpgrp), 76);
}
