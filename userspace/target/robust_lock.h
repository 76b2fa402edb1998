// SPDX-License-Identifier: Apache-2.0
// How a target learns that bpfckpt died, without any descriptor in the target: robust futexes.
//
// A thread tells the kernel of a list of locks that it holds. When it dies, however it dies, the kernel sets
// FUTEX_OWNER_DIED in each and wakes a waiter (kernel/futex/core.c:exit_robust_list()). The locks lie in the
// control areas; the blob waits on them. This comes before the ptrace relation ends (do_exit(): exit_mm() is
// before exit_notify()), so a thread that ptrace lets go finds its lock marked already; therefore the tracing
// thread itself must be the owner.
#pragma once

#include <linux/futex.h>

#include <cstdint>

#include "base/result.h"

namespace bpfckpt::target {

// A link of the list. It lies in bpfckpt's own memory, kDistance bytes before the lock word, so that no
// target can tamper with the list; the kernel wants one distance for all locks of a thread.
struct RobustNode {
  robust_list link;
};

// The list of the thread that made it. Lives as long as any area that it guards; one a thread; used by that
// thread only. The list that the C library had registered is put back at the end.
class RobustList {
 public:
  static constexpr std::uint64_t kDistance = 8192;  // from node to lock word
  // fs: linux/futex.h ROBUST_LIST_LIMIT; the kernel walks no further.
  static constexpr unsigned kLocksMax = 2000;

  RobustList();
  ~RobustList();
  RobustList(const RobustList&) = delete;
  RobustList& operator=(const RobustList&) = delete;

  // Takes the lock that lies kDistance bytes after `node`. Error::Unsupported beyond kLocksMax.
  Result<void> arm(RobustNode& node);
  void disarm(RobustNode& node);

 private:
  robust_list_head head_;
  robust_list_head* previous_ = nullptr;
  std::size_t previous_len_ = 0;
  unsigned armed_ = 0;
};

}  // namespace bpfckpt::target
