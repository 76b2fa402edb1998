// SPDX-License-Identifier: Apache-2.0
// bpfckpt clean: removes what a killed run may have left.
#pragma once

#include <ostream>

#include "base/result.h"
#include "cmd/options.h"

namespace bpfckpt {

// Pinned programs, and in the images directory, if one was named, the files that belong to no complete
// checkpoint, with the names that --link-remap made for it. Exit status 0, also where there was nothing. A
// directory that another run writes to is Error::Conflict.
Result<int> run_clean(const CleanOptions& options, std::ostream& out);

}  // namespace bpfckpt
