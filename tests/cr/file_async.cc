// SPDX-License-Identifier: Apache-2.0
// Signals of O_ASYNC descriptors after a restore: to a thread, to a group, from a FIFO; none that nobody
// sent; owners that are gone, a signal number without any owner.
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include <thread>

#include "harness/cr_memory.h"

namespace {

constexpr timespec kLimit{5, 0};

bool is_pending(int signal) {
  sigset_t set;
  ::sigpending(&set);
  return ::sigismember(&set, signal) == 1;
}

void make_async(int fd, int type, pid_t owner, int signal) {
  const f_owner_ex whom{static_cast<decltype(f_owner_ex::type)>(type), owner};
  REQUIRE(::fcntl(fd, F_SETOWN_EX, &whom) == 0 && ::fcntl(fd, F_SETSIG, signal) == 0);
  REQUIRE(::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_ASYNC) == 0);
}

// The signal, and by which descriptor it came.
int wait_for(int signal) {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  siginfo_t info{};
  CHECK_EQ(::sigtimedwait(&set, &info, &kLimit), signal);
  return info.si_fd;
}

}  // namespace

void cr::test() {
  sigset_t all;
  ::sigfillset(&all);
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &all, nullptr) == 0);
  int to_thread[2], to_group[2], lost[2], at_end[2], bare[2];
  for (auto* ends : {to_thread, to_group, lost, at_end, bare}) REQUIRE(::pipe(ends) == 0);

  std::thread other([&] {
    make_async(to_thread[0], F_OWNER_TID, gettid(), SIGRTMIN + 1);
    wait_released();
    CHECK_EQ(wait_for(SIGRTMIN + 1), to_thread[0]);
  });
  Child member([&] {
    ::close(at_end[1]);
    ::setpgid(0, 0);
    wait_released();
    CHECK_EQ(wait_for(SIGRTMIN + 2), to_group[0]);
  });
  while (::getpgid(member.pid()) != member.pid()) ::usleep(100);
  make_async(to_group[0], F_OWNER_PGRP, member.pid(), SIGRTMIN + 2);

  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  make_async(lost[0], F_OWNER_PID, dead, SIGRTMIN + 3);
  REQUIRE(::waitpid(dead, nullptr, 0) == dead);

  // At its end already: making it so again must not tell.
  make_async(at_end[0], F_OWNER_PID, ::getpid(), SIGRTMIN + 4);
  ::close(at_end[1]);
  CHECK_EQ(wait_for(SIGRTMIN + 4), at_end[0]);

  REQUIRE(::fcntl(bare[0], F_SETSIG, SIGRTMIN + 5) == 0);

  const std::string path = directory() + "/fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const int fifo = ::open(path.c_str(), O_RDWR | O_NONBLOCK);
  make_async(fifo, F_OWNER_PID, ::getpid(), SIGRTMIN + 6);
  REQUIRE(::unlink(path.c_str()) == 0);
  await_waiting(2);

  checkpoint_here();
  for (int i = 1; i <= 6; ++i) CHECK(!is_pending(SIGRTMIN + i));
  CHECK(!is_pending(SIGIO));
  CHECK_EQ(::write(to_thread[1], "x", 1), 1);
  CHECK_EQ(::write(to_group[1], "x", 1), 1);
  other.join();
  member.join();
  CHECK_EQ(::write(fifo, "x", 1), 1);
  CHECK_EQ(wait_for(SIGRTMIN + 6), fifo);
  CHECK_EQ(::write(lost[1], "x", 1), 1);
  f_owner_ex whom{};
  CHECK(::fcntl(lost[0], F_GETOWN_EX, &whom) == 0 && whom.pid == 0);
  CHECK_EQ(::fcntl(lost[0], F_GETSIG), SIGRTMIN + 3);
  CHECK((::fcntl(at_end[0], F_GETFL) & O_ASYNC) != 0);
  CHECK_EQ(::fcntl(bare[0], F_GETSIG), SIGRTMIN + 5);
  CHECK_EQ(::fcntl(bare[0], F_GETOWN), 0);
  CHECK(!is_pending(SIGRTMIN + 1) && !is_pending(SIGRTMIN + 2) && !is_pending(SIGRTMIN + 4));
}
