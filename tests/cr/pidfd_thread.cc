// SPDX-License-Identifier: Apache-2.0
// A pidfd of a thread: it signals that thread alone, and tells when that thread ends. Another process holds a
// pidfd of the whole process.
#include <poll.h>
#include <signal.h>

#include <thread>

#include "harness/cr_memory.h"

namespace {

constexpr unsigned kPidfdThread = O_EXCL;  // linux/pidfd.h: PIDFD_THREAD, since 6.9

int pidfd_open(pid_t pid, unsigned flags) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, flags));
}

}  // namespace

void cr::test() {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR1);
  REQUIRE(::sigprocmask(SIG_BLOCK, &blocked, nullptr) == 0);
  pid_t tid = 0;
  int ready[2];
  REQUIRE(::pipe(ready) == 0);
  std::thread thread([&] {
    tid = gettid();
    REQUIRE(::write(ready[1], "r", 1) == 1);
    wait_released();
    siginfo_t info{};
    const timespec limit{10, 0};
    CHECK_EQ(::sigtimedwait(&blocked, &info, &limit), SIGUSR1);
  });
  char byte;
  REQUIRE(::read(ready[0], &byte, 1) == 1);
  const int fd = pidfd_open(tid, kPidfdThread);
  if (fd < 0) skip("pidfd-thread");
  Child watcher([parent = ::getpid()] {
    const int pidfd = pidfd_open(parent, 0);
    REQUIRE(pidfd >= 0);
    wait_released();
    CHECK_EQ(::syscall(SYS_pidfd_send_signal, pidfd, 0, nullptr, 0), 0);
  });
  await_waiting(2);
  checkpoint_here();
  pollfd poll{fd, POLLIN, 0};
  CHECK_EQ(::poll(&poll, 1, 0), 0);
  CHECK_EQ(::syscall(SYS_pidfd_send_signal, fd, SIGUSR1, nullptr, 0), 0);
  thread.join();
  CHECK_EQ(::poll(&poll, 1, 10'000), 1);
  sigset_t pending;
  CHECK(::sigpending(&pending) == 0 && ::sigismember(&pending, SIGUSR1) == 0);
  watcher.join();
}
