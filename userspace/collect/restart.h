// SPDX-License-Identifier: Apache-2.0
// Interrupted system calls that restart_syscall(2) goes on with.
#pragma once

#include <cstdint>
#include <optional>

#include "bpf/records.h"

namespace bpfckpt::collect {

// A call that a thread will go on with, and when its time is up.
struct Restart {
  std::uint32_t call = 0;  // system call number
  std::uint64_t args[6] = {};
  int clock = 0;                 // CLOCK_*
  std::uint64_t expires_ns = 0;  // absolute on `clock`
  bool timeless = false;
};

// What the thread was interrupted in, or nothing: it returned -ERESTART_RESTARTBLOCK with a restart_block of
// a known function. Meaningful for a stopped thread only.
std::optional<Restart> interrupted_call(const task_record& task);

}  // namespace bpfckpt::collect
