// SPDX-License-Identifier: Apache-2.0
// AIO rings of a frozen tree.
#pragma once

#include <chrono>

#include "collect/collector.h"
#include "collect/late_details.h"
#include "dump/taken_tree.h"

namespace bpfckpt::dump {

// Collects the tree; again, for as long as `patience`, while requests of its AIO rings are in flight. Fails
// with Unsupported, naming the ring, when they do not come to an end. Precondition: frozen, so that nobody
// makes new ones. What can wait is left to `late`.
Result<Model> collect_quiet(Collector& collector, const TakenTree& tree, pid_t root,
                            std::chrono::milliseconds patience, collect::LateDetails& late);

// Reads, from outside, the events in the rings that nobody took yet.
Result<void> take_aio_events(Model& model);

}  // namespace bpfckpt::dump
