// SPDX-License-Identifier: Apache-2.0
// Whose the caller's terminal is, while a restored job runs in it.
#pragma once

#include <sys/types.h>

namespace bpfckpt::restore {

// Puts a group of our session into the foreground of our controlling terminal, if we are there. False: we are
// not, or `terminal` (-1: none) is not ours.
bool give_terminal(int terminal, pid_t group);
// Puts ourselves there again, if nobody is there any more or still `group` is.
void take_terminal(int terminal, pid_t group);

}  // namespace bpfckpt::restore
