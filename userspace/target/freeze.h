// SPDX-License-Identifier: Apache-2.0
// Stopping a whole process tree that goes on forking, making threads and exiting meanwhile.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <vector>

#include "base/result.h"
#include "target/seized_task.h"
#include "target/waiter.h"

namespace bpfckpt::target {

// One thread of the tree, as whoever reads it (BPF) sees it now.
struct TreeMember {
  pid_t tid = 0;
  pid_t tgid = 0;
  pid_t real_parent = 0;  // tgid
  pid_t tracer = 0;       // tgid; 0: not traced
  bool gone = false;      // a zombie, or exiting: cannot be stopped, needs not be
  bool exiting = false;   // is not yet a zombie, but will be one in a moment
  bool uninterruptible = false;
  bool runs = false;  // it is in no ptrace-stop
};
// The threads of the tree now; called again and again.
using TreeReader = std::function<Result<std::vector<TreeMember>>()>;

struct FreezeOptions {
  std::chrono::milliseconds timeout{10'000};
  std::uint64_t ptrace_options = 0;
};

// The stopped threads. Letting go: the destructor, or release(). Parasites must be cured before.
class FrozenTree {
 public:
  // Null if that thread is not among them.
  SeizedTask* find(pid_t tid) {
    auto it = tasks_.find(tid);
    return it == tasks_.end() ? nullptr : &it->second;
  }
  std::size_t size() const { return tasks_.size(); }
  // By tid.
  std::map<pid_t, SeizedTask>& tasks() { return tasks_; }
  // The tree as it was read last, every member stopped or a zombie.
  const std::vector<TreeMember>& members() const { return members_; }
  void release() { tasks_.clear(); }
  // Ends all processes of the tree for good, before any of their instructions runs.
  void kill();

 private:
  friend Result<FrozenTree> freeze(Waiter& waiter, const TreeReader& read, const FreezeOptions& options);
  std::map<pid_t, SeizedTask> tasks_;
  std::vector<TreeMember> members_;
};

// Stops every thread that `read` names, and reads again until all stood meanwhile, it names nobody new and
// who exits has come to the end of that: on its way a process has lost its memory and files, and cannot be
// waited for yet. A task that waits for a vfork()ed child cannot stop before the child goes on: its children
// are let run a little while between two attempts. Error (everything is let go): ETIMEDOUT, naming tasks and
// what they wait for as far as it can be seen; Error::Unsupported: a task is traced by somebody else;
// Error::TargetGone: nobody is left.
Result<FrozenTree> freeze(Waiter& waiter, const TreeReader& read, const FreezeOptions& options = {});

}  // namespace bpfckpt::target
