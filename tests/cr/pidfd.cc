// SPDX-License-Identifier: Apache-2.0
// Pidfds of oneself, of a living child, of a zombie and of those that are long gone: each still means the
// same process, tells when it ends, and can be signalled and waited for by.
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include "harness/cr_memory.h"

namespace {

int pidfd_open(pid_t pid, unsigned flags = 0) {
  return static_cast<int>(::syscall(SYS_pidfd_open, pid, flags));
}

int send(int pidfd, int signal) {
  return static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0));
}

short events(int pidfd, int timeout_ms = 0) {
  pollfd poll{pidfd, POLLIN, 0};
  REQUIRE(::poll(&poll, 1, timeout_ms) >= 0);
  return poll.revents;
}

// A pidfd of a child that is dead and buried.
int of_dead(const std::function<void()>& end, unsigned flags = 0) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    end();
    ::_exit(9);
  }
  const int fd = pidfd_open(pid, flags);
  REQUIRE(fd >= 0);
  REQUIRE(::waitpid(pid, nullptr, 0) == pid);
  return fd;
}

// linux/pidfd.h: PIDFD_GET_INFO with PIDFD_INFO_EXIT, since 6.15; -1: this kernel does not say.
int exit_status(int pidfd) {
  struct {
    std::uint64_t mask = 1 << 3, cgroup_id = 0;
    std::uint32_t ids[11] = {};
    std::int32_t exit_code = 0;
  } info;
  if (::ioctl(pidfd, _IOWR(0xff, 11, info), &info) != 0 || (info.mask & 1 << 3) == 0) return -1;
  return info.exit_code;
}

}  // namespace

void cr::test() {
  Child child([] {
    for (;;) ::pause();
  });
  const pid_t zombie = ::fork();
  if (zombie == 0) ::_exit(5);
  wait_state(zombie, 'Z');
  const int self = pidfd_open(::getpid()), living = pidfd_open(child.pid(), O_NONBLOCK);
  const int ended = pidfd_open(zombie);
  REQUIRE(self >= 0 && living >= 0 && ended >= 0);
  const int exited = of_dead([] { ::_exit(42); }), killed = of_dead([] { ::raise(SIGKILL); }, O_NONBLOCK);
  const int aborted = of_dead([] { ::raise(SIGTERM); });
  const bool tells = exit_status(exited) >= 0;
  const int twin = ::dup(living);
  checkpoint_here();
  CHECK_EQ(send(self, 0), 0);
  CHECK_EQ(events(self), 0);
  CHECK_EQ(events(living), 0);
  CHECK(events(ended) & POLLIN);
  siginfo_t info{};
  CHECK_EQ(::waitid(static_cast<idtype_t>(3) /*P_PIDFD*/, static_cast<id_t>(ended), &info, WEXITED), 0);
  CHECK_EQ(info.si_pid, zombie);
  CHECK_EQ(info.si_status, 5);
  CHECK(::waitid(static_cast<idtype_t>(3), static_cast<id_t>(living), &info, WEXITED) < 0 && errno == EAGAIN);
  for (const int fd : {exited, killed, aborted, ended}) {
    CHECK(send(fd, 0) < 0 && errno == ESRCH);
    CHECK(events(fd) & POLLIN);
    CHECK(::waitid(static_cast<idtype_t>(3), static_cast<id_t>(fd), &info, WEXITED) < 0 && errno == ECHILD);
  }
  if (tells) {
    CHECK_EQ(exit_status(exited), 42 << 8);
    CHECK_EQ(exit_status(killed), SIGKILL);
    CHECK_EQ(exit_status(aborted), SIGTERM);
  }
  CHECK_EQ(send(twin, SIGKILL), 0);
  CHECK(events(living, 10'000) & POLLIN);
  CHECK_EQ(::waitid(static_cast<idtype_t>(3), static_cast<id_t>(living), &info, WEXITED), 0);
  CHECK_EQ(info.si_pid, child.pid());
  CHECK_EQ(info.si_code, CLD_KILLED);
}
