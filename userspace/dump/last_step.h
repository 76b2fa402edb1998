// SPDX-License-Identifier: Apache-2.0
// The end of a dump whose network lock outlives it: the lock is made a kept one, the tree is killed, its
// connections go without a word. If bpfckpt died in the middle of it there would be a tree that runs and gets
// no packets, or half of a tree, or connections that tell their other ends that they are gone. So a process
// of its own sees to it: until commit() it takes the lock back when bpfckpt dies, and afterwards it brings
// all of it to its end.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "dump/held_sockets.h"
#include "dump/outliving_process.h"
#include "kernel/network_lock.h"

namespace bpfckpt::dump {

class LastStep {
 public:
  // When the checkpoint is complete, before the lock is pinned by that id. `processes`: all of the tree,
  // stopped. The objects are copied by a fork; no other thread of bpfckpt runs.
  static Result<LastStep> begin(std::span<const pid_t> processes, kernel::NetworkLock& lock,
                                std::uint64_t lock_id, HeldSockets& sockets);
  LastStep(LastStep&&) noexcept = default;
  LastStep& operator=(LastStep&&) = delete;
  // Nothing more is to be done; the process ends.
  ~LastStep();

  // From now on the tree is going to be killed, whoever does it. Precondition: the lock is held.
  Result<void> commit();
  // The tree is gone: ends its connections.
  Result<void> end_connections();

 private:
  LastStep() = default;
  Result<void> order(char what);

  OutlivingProcess process_;
  Fd orders_;
};

}  // namespace bpfckpt::dump
