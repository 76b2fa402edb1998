// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "collect/collector.h"
#include "collect/snapshot.h"

namespace bpfckpt::diagnose {

// The tree below `root` as it runs, whole. What ends while we look is left out. Error::TargetGone if it is
// the root.
Result<Model> look(Collector& collector, pid_t root);
// The same as it was when the snapshot was taken: of those processes, the root first. Who shares locks and
// segments with others is not looked at again: what is found has to be so at another snapshot, too
// (lasting.h).
Result<Model> look(Collector& collector, const collect::Snapshot& snapshot, std::span<const pid_t> processes);

}  // namespace bpfckpt::diagnose
