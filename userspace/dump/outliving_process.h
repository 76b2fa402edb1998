// SPDX-License-Identifier: Apache-2.0
// A process of bpfckpt's own that outlives it long enough to leave the target in order, should bpfckpt be
// killed.
#pragma once

#include <sys/types.h>

#include <initializer_list>

#include "base/fd.h"
#include "base/result.h"

namespace bpfckpt::dump {

class OutlivingProcess {
 public:
  OutlivingProcess() = default;
  OutlivingProcess(OutlivingProcess&&) noexcept = default;
  OutlivingProcess& operator=(OutlivingProcess&&) = default;

  // By fork: `serve` runs in it, deaf to signals and in a session of its own, and does not return.
  template <class Serve>
  static Result<OutlivingProcess> start(Serve serve) {
    OutlivingProcess process;
    TRY(process.fork());
    if (process.pid_ == 0) {
      leave_group();
      serve();
    }
    return process;
  }

  // In the process: closes all descriptors but these. Others may wait for the end of what it was forked with.
  static void keep_only(std::initializer_list<int> descriptors);

  explicit operator bool() const { return static_cast<bool>(pidfd_); }
  pid_t pid() const { return pid_; }
  // Until it has ended by itself.
  void wait() const;

 private:
  Result<void> fork();
  static void leave_group();

  pid_t pid_ = 0;
  Fd pidfd_;
};

}  // namespace bpfckpt::dump
