// SPDX-License-Identifier: Apache-2.0
// bpfckpt check: what this kernel offers, and what bpfckpt needs it for.
#pragma once

#include <ostream>

#include "base/result.h"
#include "cmd/options.h"

namespace bpfckpt {

// Exit status 0 if all that is required is there (with options.features: if all of these are), 1 if not.
// Error::Usage names a feature that there is no row of.
Result<int> run_check(const CheckOptions& options, std::ostream& out);

}  // namespace bpfckpt
