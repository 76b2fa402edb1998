// SPDX-License-Identifier: Apache-2.0
// bpfckpt show: a checkpoint for people or, as JSON, for programs.
#pragma once

#include <cstdint>
#include <ostream>

#include "base/result.h"
#include "cmd/options.h"

namespace bpfckpt {

struct ShowOptions {
  enum class As { Text, Dot, Html };  // Dot: a graph for graphviz; Html: one self-contained page
  CommonOptions common;   // json: one object {manifest, tasks, memory, files}, in protobuf's own JSON
  As as = As::Text;       // not Text: without json and pid
  std::uint32_t pid = 0;  // only this process, in full; 0: all
  unsigned width = 0;     // lines are cut to that many characters; 0: not at all
};

// Exit status 0. Error::Usage if there is no such process in the checkpoint.
Result<int> run_show(const ShowOptions& options, std::ostream& out);

}  // namespace bpfckpt
