// SPDX-License-Identifier: Apache-2.0
// The siginfo_t of a pending signal, as the image has it.
#pragma once

#include <signal.h>

#include <cstdint>
#include <cstring>
#include <string>

namespace bpfckpt::restore {

// siginfo_t begins with it. Precondition: `info` is whole, as validate() sees to.
inline std::int32_t signal_of(const std::string& info) {
  std::int32_t signal = 0;
  std::memcpy(&signal, info.data(), sizeof signal);
  return signal;
}

// Nobody blocks SIGSTOP: who sends it to themselves is stopped. So it comes last, from bpfckpt
// (target/resume.h).
inline bool is_stop(const std::string& info) {
  return signal_of(info) == SIGSTOP;
}

}  // namespace bpfckpt::restore
