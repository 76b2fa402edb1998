// SPDX-License-Identifier: Apache-2.0
// The first process of a restored tree: the embedded stub, executed with the pid that the tree's root had.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "target/address.h"
#include "target/area.h"
#include "target/batch.h"

namespace bpfckpt::target {

struct StubOptions {
  // clone3()'s set_tid, innermost pid namespace first; empty: any pid.
  std::span<const pid_t> set_tid;
  std::uint64_t clone_flags = 0;  // CLONE_PARENT (restore as a sibling), CLONE_NEW*
  int exit_signal = 17;           // SIGCHLD; must be 0 with CLONE_PARENT
};

// A running stub. It has: all signals blocked, no descriptor, the area at its base, the stub's page, a stack,
// the kernel's special mappings, nothing else; dispositions and everything inherited (credentials, cwd,
// rlimits, session,
// ...) are bpfckpt's own. The blob runs in slot 0 of the area, from its own page: all but the area and the
// special mappings can be unmapped. The destructor leaves the process alone.
struct Stub {
  pid_t pid = -1;      // as bpfckpt sees it
  Fd pidfd;            // of that process
  RemoteAddress vdso;  // where the vDSO is now; 0: there is none. The vvar mappings lie before it
};

// Starts the stub and returns when the blob in slot 0 is alive. Error::Conflict if a pid is taken (EEXIST).
// On any error no process is left behind.
Result<Stub> start_stub(const Area& area, const StubOptions& options);

// Watches processes by pidfd: fails with Error::TargetGone once one of them has died. The descriptors are
// borrowed.
class PidfdWatch : public Watch {
 public:
  explicit PidfdWatch(int pidfd, pid_t pid) : pidfd_(pidfd), pid_(pid) {}
  Result<void> check() override;

 private:
  int pidfd_;
  pid_t pid_;
};

}  // namespace bpfckpt::target
