// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"
#include "model/model.h"

namespace bpfckpt::restore {

// System V segments: each that the tree had attached is still there and nobody else's, or its id and its key
// are free. Conflict: all that are not, by name. Warns where somebody had one attached meanwhile.
Result<void> check_segments(const Model& model, const ModelIndex& index);

}  // namespace bpfckpt::restore
