// SPDX-License-Identifier: Apache-2.0
// The log: each line with the seconds since start. Level 1 shows errors, 2 warnings, 3 info, 4 debug.
// Nothing that runs inside the frozen window logs below warning.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

#include "base/result.h"

namespace bpfckpt::log {

// Opens the log. `path` empty: standard error. Called once, from main, before anything logs.
Result<void> open(const std::string& path, int verbosity);

using spdlog::debug;
using spdlog::error;
using spdlog::info;
using spdlog::warn;

}  // namespace bpfckpt::log
