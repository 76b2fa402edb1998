// SPDX-License-Identifier: Apache-2.0
// A frozen tree with a parasite in every process that can take one.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "collect/collector.h"
#include "model/model.h"
#include "target/freeze.h"
#include "target/injected_parasite.h"

namespace bpfckpt::dump {

// How long threads wait in their gates for us, and where that is or would be too short.
inline constexpr std::chrono::seconds kGateWait{parasite::kGateWaitS}, kLongGateWait{10};

class TakenTree {
 public:
  // Freezes. The tree goes on, whole, when the object goes.
  static Result<TakenTree> freeze(target::Waiter& waiter, target::RobustList& robust, Collector& collector,
                                  pid_t root, std::chrono::milliseconds timeout);

  // Processes, parents first, zombies among them.
  const std::vector<pid_t>& processes() const { return processes_; }

  // What ptrace shows of every thread goes into the model.
  Result<void> read_threads(Model& model);

  // Parasites into all living processes at the same time. A process that cannot take one is noted and left
  // without. An error with went_on(): one waited for us in its gate for `gate_wait`, or was not home yet from
  // an earlier run that was killed: let the tree go, and catch it again.
  Result<void> inject(const Model& model, std::chrono::seconds gate_wait);
  // Null: the process has none.
  target::InjectedParasite* parasite(std::uint32_t pid);
  // Takes them out again: every thread is as it was, stopped.
  Result<void> cure();

  // Lets all go on.
  void release() { frozen_.release(); }
  // SIGKILL to all; returns when they are gone. Precondition: cured.
  void kill();
  // Leaves all in a group-stop (SIGSTOP), without a tracer.
  Result<void> leave_stopped();

 private:
  TakenTree(target::RobustList& robust, target::FrozenTree frozen)
      : robust_(&robust), frozen_(std::move(frozen)) {}

  Result<void> place(const std::vector<pid_t>& sent);

  target::RobustList* robust_;
  target::FrozenTree frozen_;
  std::vector<pid_t> processes_;
  std::map<pid_t, target::ThreadState> states_;  // by tid
  // After frozen_: parasites are cured before their tasks are let go.
  std::map<pid_t, target::InjectedParasite> parasites_;
  // In processes that share an address space with one of the above, and go in and out through its gate, which
  // goes with it: these must be home before.
  struct Guest {
    pid_t host = 0;
    target::InjectedParasite parasite;
  };
  std::map<pid_t, Guest> guests_;
};

}  // namespace bpfckpt::dump
