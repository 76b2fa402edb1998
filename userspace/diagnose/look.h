// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "collect/collector.h"
#include "collect/snapshot.h"

namespace bpfckpt::diagnose {

// The tree below `root` as it runs, whole. What ends while we look is left out. Error::TargetGone if it is
// the root.
Result<Model> look(Collector& collector, pid_t root);
// One process of it, as if there were no other.
Result<Model> look_at_one(Collector& collector, pid_t pid);
// As it was when the snapshot was taken.
Result<Model> look_at_one(Collector& collector, const collect::Snapshot& snapshot, pid_t pid);

}  // namespace bpfckpt::diagnose
