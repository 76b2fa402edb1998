// SPDX-License-Identifier: Apache-2.0
// Who gets the signal when a descriptor becomes ready, which signal, and that it is sent (O_ASYNC on a pipe);
// and as whom that was asked for, which decides whether it may be sent.
#include <signal.h>
#include <sys/prctl.h>
#include <time.h>

#include <array>

#include "harness/cr_memory.h"

namespace {

constexpr int kGetOwnerUids = 17;  // F_GETOWNER_UIDS

std::array<uid_t, 2> owner_ids(int fd) {
  std::array<uid_t, 2> ids{};
  CHECK(::fcntl(fd, kGetOwnerUids, ids.data()) == 0 || errno == EINVAL);  // without CONFIG_CHECKPOINT_RESTORE
  return ids;
}

}  // namespace

void cr::test() {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGRTMIN + 5);
  REQUIRE(::sigprocmask(SIG_BLOCK, &set, nullptr) == 0);
  int to_thread[2], to_group[2], to_process[2];
  REQUIRE(::pipe(to_thread) == 0 && ::pipe(to_group) == 0 && ::pipe(to_process) == 0);
  const f_owner_ex thread{F_OWNER_TID, gettid()};
  REQUIRE(::fcntl(to_thread[0], F_SETOWN_EX, &thread) == 0);
  REQUIRE(::fcntl(to_thread[0], F_SETSIG, SIGRTMIN + 5) == 0);
  REQUIRE(::fcntl(to_thread[0], F_SETFL, O_ASYNC | O_NONBLOCK) == 0);
  REQUIRE(::fcntl(to_group[1], F_SETOWN, -::getpgrp()) == 0);
  Child child([] { wait_released(); });
  REQUIRE(::fcntl(to_process[0], F_SETOWN, child.pid()) == 0 &&
          ::fcntl(to_process[0], F_SETSIG, SIGUSR1) == 0);
  int as_others[2];
  REQUIRE(::pipe(as_others) == 0);
  if (::geteuid() == 0) {
    REQUIRE(::setresuid(1234, 4321, 0) == 0);
    CHECK_EQ(::fcntl(as_others[0], F_SETOWN, ::getpid()), 0);
    REQUIRE(::setresuid(0, 0, 0) == 0);
    REQUIRE(::prctl(PR_SET_DUMPABLE, 1) == 0);
  }
  const auto ids = owner_ids(as_others[0]), own_ids = owner_ids(to_thread[0]);
  await_waiting(1);
  checkpoint_here();
  CHECK(owner_ids(as_others[0]) == ids);
  CHECK(owner_ids(to_thread[0]) == own_ids);
  f_owner_ex owner{};
  CHECK_EQ(::fcntl(to_thread[0], F_GETOWN_EX, &owner), 0);
  CHECK(owner.type == F_OWNER_TID && owner.pid == gettid());
  CHECK_EQ(::fcntl(to_group[1], F_GETOWN_EX, &owner), 0);
  CHECK(owner.type == F_OWNER_PGRP && owner.pid == ::getpgrp());
  CHECK_EQ(::fcntl(to_process[0], F_GETOWN_EX, &owner), 0);
  CHECK(owner.type == F_OWNER_PID && owner.pid == child.pid());
  CHECK_EQ(::fcntl(to_process[0], F_GETSIG), SIGUSR1);
  CHECK_EQ(::fcntl(to_group[1], F_GETSIG), 0);
  CHECK_EQ(::write(to_thread[1], "x", 1), 1);
  siginfo_t info{};
  const timespec limit{5, 0};
  CHECK_EQ(::sigtimedwait(&set, &info, &limit), SIGRTMIN + 5);
  CHECK_EQ(info.si_fd, to_thread[0]);
  child.join();
}
