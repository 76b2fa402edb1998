// SPDX-License-Identifier: Apache-2.0
// What a process is asked for from inside: signal dispositions, credentials, interval timers.
#pragma once

#include "dump/taken_tree.h"

namespace bpfckpt::dump {

// One batch in every leader that has a parasite, all at the same time.
Result<void> ask_processes(TakenTree& tree, Model& model);

}  // namespace bpfckpt::dump
