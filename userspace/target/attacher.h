// SPDX-License-Identifier: Apache-2.0
// PTRACE_SEIZE of a thread whose process may be in the middle of execve().
//
// Who is executing holds signal->cred_guard_mutex until all its other threads are dead *and* waited for
// (fs/exec.c:de_thread()), which is their tracer's part; and who seizes wants the same mutex
// (kernel/ptrace.c:ptrace_attach()). If we have seized one of those other threads already, the two wait for
// each other for ever. A signal gets us out of the wait, but ptrace() is then made again by the kernel
// (-ERESTARTNOINTR), so its handler leaves the call by a jump.
#pragma once

#include <setjmp.h>
#include <signal.h>
#include <sys/types.h>
#include <time.h>

#include <cstdint>

namespace bpfckpt::target {

// For the thread that made it; one in a process at a time. Takes SIGRTMIN as long as it lives.
class Attacher {
 public:
  Attacher();
  ~Attacher();
  Attacher(const Attacher&) = delete;
  Attacher& operator=(const Attacher&) = delete;

  // 0, or ptrace()'s errno. EINTR: it took too long; the task may be seized nonetheless, which the kernel
  // tells (task->ptrace).
  int seize(pid_t tid, std::uint64_t ptrace_options);

 private:
  static void leave(int signal, siginfo_t* info, void* context);
  void arm(long nanoseconds);

  timer_t timer_{};
  bool has_timer_ = false;  // there is a limit (RLIMIT_SIGPENDING); without it the wait has no end
  struct sigaction before_{};
  sigjmp_buf out_;
  volatile sig_atomic_t inside_ = 0;
};

}  // namespace bpfckpt::target
