// SPDX-License-Identifier: Apache-2.0
// Who outside of a tree has what the tree shares with the outside.
#pragma once

#include <vector>

#include "base/result.h"
#include "cmd/diagnose.h"
#include "collect/collector.h"

namespace bpfckpt {

// Adds to the reasons of findings about pipes and locks that reach out of the tree which processes have the
// other end. Every process of the machine is looked at, once, and only if there is such a finding.
Result<void> name_holders(Collector& collector, std::vector<Diagnosed>& processes);

}  // namespace bpfckpt
