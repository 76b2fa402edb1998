// SPDX-License-Identifier: Apache-2.0
// The last step of a restore: processes whose threads all wait in the blob become what they were.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/result.h"
#include "target/address.h"
#include "target/arch.h"
#include "target/seized_task.h"
#include "target/waiter.h"

namespace bpfckpt::target {

struct ResumeThread {
  pid_t tid = 0;  // as bpfckpt sees it
  Registers registers{};
  std::vector<std::byte> xstate;
  std::uint64_t sigmask = 0;
  std::optional<RestartCall> restart;
  bool at_restart = false;    // ThreadState::at_restart when it was taken
  bool stop_pending = false;  // a SIGSTOP for this thread is
};

struct ResumeProcess {
  pid_t pid = 0;
  std::vector<ResumeThread> threads;
  int stop_signal = 0;  // not 0: to be found stopped by that signal (SIGSTOP, ...)
  // A SIGSTOP is pending, which the process could not send itself beforehand: nobody blocks it.
  bool stop_pending = false;
  bool seccomp = false;  // a filter or strict mode is already on
};

// A restored tree, complete, every thread stopped by us at its first instruction. It is killed if bpfckpt
// dies or the object is destroyed without release().
class HeldTree {
 public:
  HeldTree(HeldTree&&) = default;
  HeldTree& operator=(HeldTree&&) = default;
  ~HeldTree();

  // Lets all go. On error the rest is let go all the same.
  Result<void> release();

 private:
  friend Result<HeldTree> hold(Waiter& waiter, const std::vector<ResumeProcess>& processes, RemoteRange area,
                               std::map<pid_t, SeizedTask> seized);
  HeldTree() = default;

  struct Process {
    pid_t pid;
    int stop_signal;
    bool stop_pending;
    std::vector<pid_t> threads_stop_pending;
    std::vector<SeizedTask> threads;  // the leader first
  };
  Result<void> stop(Process& process);
  std::vector<Process> processes_;
};

// Takes every thread of the blob, unmaps the control area from every process, and sets registers, extended
// state and signal mask. Precondition: every thread named waits in the blob, no batch under way. The Area
// itself may be closed afterwards. On error
// nothing of the tree is left running. `seized` are threads of the tree that are under ptrace already, with
// kExitKill, and run.
Result<HeldTree> hold(Waiter& waiter, const std::vector<ResumeProcess>& processes, RemoteRange area,
                      std::map<pid_t, SeizedTask> seized = {});

}  // namespace bpfckpt::target
