// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "restore/planner.h"

namespace bpfckpt::restore {

// Marks of inotify and fanotify, after everything else that opens, reads or closes files: what they watch
// would be told to the program.
Result<void> plan_watches(Planning& planning);

}  // namespace bpfckpt::restore
