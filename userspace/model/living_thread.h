// SPDX-License-Identifier: Apache-2.0
// A process lives on when its leader has called exit(2), as long as it has other threads; the leader stays as
// a zombie that has let go of memory, descriptors and the rest. Whoever wants those asks another thread.
#pragma once

#include "images/task.pb.h"

namespace bpfckpt {

inline bool leader_is_gone(const pb::Process& process) {
  return process.state() != pb::ZOMBIE && process.threads_size() > 0 && process.threads(0).exited();
}

// The first thread that lives; the leader where none does. Precondition: there is a thread.
inline const pb::Thread& living_thread(const pb::Process& process) {
  for (const pb::Thread& thread : process.threads())
    if (!thread.exited()) return thread;
  return process.threads(0);
}

}  // namespace bpfckpt
