// SPDX-License-Identifier: Apache-2.0
// Ends a network lock whose owner was killed. Links end with the last descriptor of them; classifiers, which
// kernels before 6.4 need, stay and drop packets for a minute.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "dump/outliving_process.h"
#include "kernel/network_lock.h"

namespace bpfckpt::dump {

class LockGuardian {
 public:
  // It costs a fork. Precondition: the lock is one of classifiers; the others need none.
  static Result<LockGuardian> start(const kernel::NetworkLock& lock);
  LockGuardian(LockGuardian&&) noexcept = default;
  LockGuardian& operator=(LockGuardian&&) = delete;
  // Ends the process. A lock that is held then, and not kept, is ended.
  ~LockGuardian();

  // Whether that lock's switch is still the one that is watched.
  bool watches(const kernel::NetworkLock& lock) const { return lock.own_switch() == switch_; }

 private:
  LockGuardian() = default;

  int switch_ = -1;
  OutlivingProcess process_;
  Fd alive_;  // the process reads of the other end that this one is closed
};

}  // namespace bpfckpt::dump
