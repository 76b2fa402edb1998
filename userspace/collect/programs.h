// SPDX-License-Identifier: Apache-2.0
// The loaded BPF programs: from the cache in bpffs, or loaded now and left there for the next run.
#pragma once

#include <array>

#include "base/fd.h"
#include "base/result.h"

namespace bpfckpt::collect {

enum class Program {
  ListTasks,
  DumpTasks,
  DumpTimers,
  DumpFiles,
  DumpVmas,
  WalkEpoll,
  WalkMarks,
  WalkLocks,
  WalkUnix,
  WalkUrings,
  WalkInet,
  WalkMqueues
};
inline constexpr std::size_t kPrograms = 12;

class Programs {
 public:
  // Without a cache (not wanted, no bpffs to be had, a directory that is not ours) the programs are loaded,
  // and the log says why at level info.
  static Result<Programs> open(bool use_cache);

  int fd(Program program) const { return fds_[static_cast<std::size_t>(program)].get(); }
  // The map that a walk's requests are left in (bpf/walks.h).
  int requests_fd() const { return fds_[kPrograms].get(); }
  bool from_cache() const { return from_cache_; }

 private:
  std::array<Fd, kPrograms + 1> fds_;
  bool from_cache_ = false;
};

}  // namespace bpfckpt::collect
