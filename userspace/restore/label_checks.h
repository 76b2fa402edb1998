// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"
#include "model/model.h"

namespace bpfckpt::restore {

// Restored processes can have the labels of AppArmor, SELinux or Smack that they had: nobody comes back with
// more rights than that, or less. Conflict: all labels for which that is not so, with the processes.
Result<void> check_labels(const Model& model, const ModelIndex& index);

}  // namespace bpfckpt::restore
