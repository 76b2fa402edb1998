// SPDX-License-Identifier: Apache-2.0
// bpfckpt core: one process of a checkpoint as an ELF core file, for gdb.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>

#include "base/result.h"
#include "cmd/options.h"

namespace bpfckpt {

struct CoreOptions {
  CommonOptions common;
  std::uint32_t pid = 0;    // 0: the root of the tree
  std::string output_path;  // replaced if it exists; empty: "core.PID" in the current directory
};

// Writes the core and one line about it; exit status 0. Pages that the image does not hold because they are
// those of an unchanged file come from that file, if it is still the one that was mapped; if not, they are
// left out and the line says so. On failure there is no output file.
Result<int> run_core(const CoreOptions& options, std::ostream& out);

}  // namespace bpfckpt
