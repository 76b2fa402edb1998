// SPDX-License-Identifier: Apache-2.0
// What /proc and kcmp(2) say about a set of processes, as text that can be compared before and after.
//
// Numbers that the kernel hands out anew at restore (inodes of pipes, memfds, deleted files) are replaced by
// the order in which they are first met, so that what remains comparable is who shares them with whom.
//
// Left out, because they are measurements and not state: CPU times and start time, fault, context-switch and
// I/O counters, resident sizes and their peaks, scores and queues that others share (oom_score, SigQ), the
// size of the kernel's descriptor array (FDSize), the scheduler's autogroup, audit session. R, S and D count
// as one state. Adjacent mappings that differ in nothing are counted as one: whether the kernel merges them
// depends on their history (anon_vma).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace runner {

struct Snapshot {
  // "PID/status/Uid" -> "0 0 0 0"
  std::map<std::string, std::string> facts;
  // Per process: page address -> bytes, of private anonymous and changed file pages that are not all zero.
  std::map<pid_t, std::map<std::uint64_t, std::string>> pages;
  // Threads of each process: each may have one rseq area, which the kernel rewrites at will, and, below its
  // stack, the rest of a sleep's time.
  std::map<pid_t, int> threads;
};

Snapshot take_snapshot(const std::vector<pid_t>& pids);

// One line for each difference; facts whose key matches one of the fnmatch(3) patterns are left out, and
// memory if the key "PID/memory" does.
std::vector<std::string> differences(const Snapshot& before, const Snapshot& after,
                                     const std::vector<std::string>& ignore);

}  // namespace runner
