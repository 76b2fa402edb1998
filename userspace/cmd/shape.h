// SPDX-License-Identifier: Apache-2.0
// Whether a restore on this machine could make a tree of that shape again, as dump and diagnose say it.
#pragma once

#include <functional>
#include <vector>

#include "diagnose/findings.h"
#include "model/special_mapping.h"

namespace bpfckpt {

// The code of what depends on nothing but the process's own memory.
inline constexpr const char* kTooManyMappings = "too-many-mappings";

// What stands in the way; empty: nothing. A session that is led from outside is no matter of shape: that is a
// finding of its own (diagnose/findings.cc).
std::vector<diagnose::Item> find_shape(const Model& model, const std::vector<SpecialMapping>& special);

// The same of a tree that runs. What was seen may be the shape of a moment (a child between fork(2) and
// setsid(2)), so `again` looks at the tree once more, and only what is said of both looks counts.
std::vector<diagnose::Item> find_lasting_shape(const Model& model, const std::vector<SpecialMapping>& special,
                                               const std::function<Result<Model>()>& again);

}  // namespace bpfckpt
