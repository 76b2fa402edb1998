// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <ostream>

#include "base/result.h"
#include "cmd/options.h"

namespace bpfckpt {

// Exit status of the action.
Result<int> run_dump(const DumpOptions& options, std::ostream& out);

}  // namespace bpfckpt
