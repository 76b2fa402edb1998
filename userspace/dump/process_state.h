// SPDX-License-Identifier: Apache-2.0
// What a process is asked for from inside, in its own words: signal dispositions, credentials, interval
// timers. BPF has seen all of it from outside already, and that stands where nobody can be asked.
#pragma once

#include "dump/taken_tree.h"

namespace bpfckpt::dump {

// One batch in every leader that has a parasite, all at the same time.
Result<void> ask_processes(TakenTree& tree, Model& model);

}  // namespace bpfckpt::dump
