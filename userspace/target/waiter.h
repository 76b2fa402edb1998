// SPDX-License-Identifier: Apache-2.0
// Every waitpid() for traced tasks and restored children.
//
// A task may exit, be killed, execute a program or be stopped by a signal between any two calls of ours;
// whoever waits for it must be ready for each. One call takes one task's next status, never another's, so
// that nothing has to be queued: the kernel keeps a task's status until it is asked for that task
// (do_wait_pid()).
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <chrono>
#include <optional>

namespace bpfckpt::target {

using Deadline = std::chrono::steady_clock::time_point;
inline Deadline within(std::chrono::milliseconds time) {
  return std::chrono::steady_clock::now() + time;
}

struct TaskStatus {
  enum class Kind {
    Stopped,  // a ptrace-stop; `signal` and `event` tell which
    Exited,   // `signal` is the exit status
    Killed,   // by `signal`
    Gone,     // there is no such child or tracee any more: reaped, or swallowed by another thread's execve()
  };
  Kind kind = Kind::Gone;
  int signal = 0;
  int event = 0;  // PTRACE_EVENT_*

  bool stopped() const { return kind == Kind::Stopped; }
};

// For the thread that made it: tracees and children belong to threads. Blocks SIGCHLD in that thread as long
// as it lives, to be woken by it.
class Waiter {
 public:
  Waiter();
  ~Waiter();
  Waiter(const Waiter&) = delete;
  Waiter& operator=(const Waiter&) = delete;

  // The next status of the task, if there is one now.
  std::optional<TaskStatus> poll(pid_t tid);
  // Whether it has one, which stays for poll().
  bool has_news(pid_t tid) const;
  // The next status of the task; nullopt: none until the deadline.
  std::optional<TaskStatus> wait(pid_t tid, Deadline deadline);

 private:
  sigset_t child_;
  sigset_t before_;
};

}  // namespace bpfckpt::target
