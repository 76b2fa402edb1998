// SPDX-License-Identifier: Apache-2.0
// bpfckpt verify: whether a checkpoint is complete and undamaged.
#pragma once

#include <ostream>

#include "base/result.h"
#include "cmd/options.h"

namespace bpfckpt {

struct VerifyOptions {
  CommonOptions common;
};

// Checks the manifest, every file's size and checksum, and the structure of the metadata. Exit status 0 and
// one line; Error::BadImage names the first thing that is wrong.
Result<int> run_verify(const VerifyOptions& options, std::ostream& out);

}  // namespace bpfckpt
