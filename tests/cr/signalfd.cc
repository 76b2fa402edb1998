// SPDX-License-Identifier: Apache-2.0
// Signalfds: what is pending, for the process and for the thread, is read through them afterwards, with its
// value; what is not in the mask is not; one shared with a child reads the child's own signals.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include "harness/cr_memory.h"

namespace {

sigset_t set_of(std::initializer_list<int> signals) {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : signals) ::sigaddset(&set, signal);
  return set;
}

signalfd_siginfo take(int fd) {
  signalfd_siginfo info{};
  CHECK_EQ(::read(fd, &info, sizeof(info)), static_cast<ssize_t>(sizeof(info)));
  return info;
}

void send(int value) {
  sigval data{};
  data.sival_int = value;
  REQUIRE(::sigqueue(::getpid(), SIGRTMIN + 3, data) == 0);
}

}  // namespace

void cr::test() {
  const sigset_t all = set_of({SIGUSR1, SIGUSR2, SIGRTMIN + 3, SIGTERM});
  REQUIRE(::sigprocmask(SIG_BLOCK, &all, nullptr) == 0);
  const sigset_t users = set_of({SIGUSR1, SIGUSR2}), queued = set_of({SIGRTMIN + 3, 64}), none = set_of({});
  const int first = ::signalfd(-1, &users, SFD_NONBLOCK), second = ::signalfd(-1, &queued, SFD_CLOEXEC);
  const int empty = ::signalfd(-1, &none, SFD_NONBLOCK);
  REQUIRE(first >= 0 && second >= 0 && empty >= 0);
  REQUIRE(::fcntl(empty, F_SETFL, O_NONBLOCK | O_APPEND) == 0);
  Child child([&] {
    REQUIRE(::raise(SIGUSR2) == 0);
    wait_released();
    CHECK_EQ(take(first).ssi_signo, static_cast<unsigned>(SIGUSR2));
    signalfd_siginfo info;
    CHECK(::read(first, &info, sizeof(info)) < 0 && errno == EAGAIN);
  });
  Child waiting([&] {
    CHECK_EQ(take(second).ssi_int, 99);  // sent when all is back
  });
  await_waiting(1);
  wait_in_syscall(waiting.pid(), SYS_read);
  REQUIRE(::kill(::getpid(), SIGUSR1) == 0 && ::kill(::getpid(), SIGTERM) == 0);
  send(7);
  send(8);
  checkpoint_here();
  pollfd polls[] = {{first, POLLIN, 0}, {second, POLLIN, 0}, {empty, POLLIN, 0}};
  CHECK_EQ(::poll(polls, 3, 0), 2);
  const signalfd_siginfo info = take(first);
  CHECK_EQ(info.ssi_signo, static_cast<unsigned>(SIGUSR1));
  CHECK_EQ(info.ssi_pid, static_cast<unsigned>(::getpid()));
  signalfd_siginfo more;
  CHECK(::read(first, &more, sizeof(more)) < 0 && errno == EAGAIN);
  CHECK_EQ(take(second).ssi_int, 7);
  CHECK_EQ(take(second).ssi_int, 8);
  CHECK(::read(empty, &more, sizeof(more)) < 0 && errno == EAGAIN);
  CHECK_EQ(::fcntl(empty, F_GETFL), O_RDWR | O_NONBLOCK | O_APPEND);
  sigset_t pending;
  CHECK(::sigpending(&pending) == 0 && ::sigismember(&pending, SIGTERM) == 1);
  sigval data{};
  data.sival_int = 99;
  CHECK_EQ(::sigqueue(waiting.pid(), SIGRTMIN + 3, data), 0);
  waiting.join();
  child.join();
}
