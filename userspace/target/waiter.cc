// SPDX-License-Identifier: Apache-2.0
#include "target/waiter.h"

#include <pthread.h>
#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace bpfckpt::target {

Waiter::Waiter() {
  sigemptyset(&child_);
  sigaddset(&child_, SIGCHLD);
  ::pthread_sigmask(SIG_BLOCK, &child_, &before_);
}

Waiter::~Waiter() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

std::optional<TaskStatus> Waiter::poll(pid_t tid) {
  if (tid <= 0)
    return TaskStatus{};  // to waitpid(2) it would mean anybody of a group, whose news would be lost
  int status = 0;
  pid_t found = 0;
  do found = ::waitpid(tid, &status, __WALL | WNOHANG);
  while (found < 0 && errno == EINTR);
  if (found == 0) return std::nullopt;
  if (found < 0) return TaskStatus{};
  if (WIFSTOPPED(status)) return TaskStatus{TaskStatus::Kind::Stopped, WSTOPSIG(status), status >> 16};
  if (WIFEXITED(status)) return TaskStatus{TaskStatus::Kind::Exited, WEXITSTATUS(status), 0};
  return TaskStatus{TaskStatus::Kind::Killed, WTERMSIG(status), 0};
}

bool Waiter::has_news(pid_t tid) const {
  siginfo_t news{};
  constexpr int kAny = WEXITED | WSTOPPED | WNOHANG | WNOWAIT | __WALL;
  return ::waitid(P_PID, static_cast<id_t>(tid), &news, kAny) != 0 || news.si_pid != 0;
}

std::optional<TaskStatus> Waiter::wait(pid_t tid, Deadline deadline) {
  using std::chrono::nanoseconds;
  // SIGCHLD wakes us, but a thread of ours that does not block it may swallow it: look again by ourselves,
  // ever more seldom.
  constexpr nanoseconds kSliceMin{200'000};
  constexpr nanoseconds kSliceMax{10'000'000};
  for (nanoseconds slice = kSliceMin;; slice = std::min(slice * 2, kSliceMax)) {
    if (auto status = poll(tid)) return status;
    const auto left = std::chrono::duration_cast<nanoseconds>(deadline - std::chrono::steady_clock::now());
    if (left <= nanoseconds::zero()) return std::nullopt;
    const timespec limit{.tv_sec = 0, .tv_nsec = std::min(slice, left).count()};
    if (::sigtimedwait(&child_, nullptr, &limit) == SIGCHLD) slice = kSliceMin;
  }
}

}  // namespace bpfckpt::target
