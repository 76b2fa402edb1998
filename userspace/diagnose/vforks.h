// SPDX-License-Identifier: Apache-2.0
// Processes that cannot be stopped because they wait in vfork(2).
#pragma once

#include <vector>

#include "collect/collector.h"
#include "diagnose/findings.h"

namespace bpfckpt::diagnose {

// The parent of a vfork(2) sleeps uninterruptibly until its child ends or executes a program, mostly at once:
// told is who does so in several looks. A dump waits for them until its --timeout is over.
Result<std::vector<Item>> find_vforks(Collector& collector, const Model& model);

}  // namespace bpfckpt::diagnose
