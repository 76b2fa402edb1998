// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>

#include "base/result.h"
#include "cmd/options.h"

namespace bpfckpt {

// Exit status of the action: the root task's (or 128 + its signal) unless detached.
Result<int> run_restore(const RestoreOptions& options, std::ostream& out);

}  // namespace bpfckpt
