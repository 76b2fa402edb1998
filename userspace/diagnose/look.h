// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "collect/collector.h"
#include "collect/snapshot.h"

namespace bpfckpt::diagnose {

// The tree below `root` as it runs, whole. What ends while we look is left out. Error::TargetGone if it is
// the root.
Result<Model> look(Collector& collector, pid_t root);
// The same, of those processes, the root first, as they were when the snapshot was taken, the mappings of all
// but the first `in_full` in short; null: as they are. Who shares locks and segments with others is not
// looked at again: what is found has to be so at another look, too (lasting.h). `spare`: a model that is done
// with, whose memory is used again.
Result<Model> look(Collector& collector, const collect::Snapshot* snapshot, std::span<const pid_t> processes,
                   std::size_t in_full, Model spare);

}  // namespace bpfckpt::diagnose
