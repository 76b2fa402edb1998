// SPDX-License-Identifier: Apache-2.0
// The first steps of the frozen window: the tree stands still, its connections are locked, what BPF and
// ptrace say of it is known, and a parasite is in every process that can take one.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

#include "base/fd.h"
#include "base/stopwatch.h"
#include "collect/collector.h"
#include "collect/late_details.h"
#include "dump/connections.h"
#include "dump/taken_tree.h"
#include "images/manifest.pb.h"

namespace bpfckpt::dump {

struct CaughtTree {
  std::optional<TakenTree> tree;
  Model model;
  collect::LateDetails late;
  Stopwatch frozen;  // since the first stop was asked for
};

struct Catching {
  target::Waiter& waiter;
  target::RobustList& robust;
  Collector& collector;
  Connections& connections;
  pid_t root;
  const Fd&
      root_pidfd;  // opened before anybody looked: scripts run, and time passes, before the tree is caught
  std::chrono::milliseconds timeout;
};

// Fills `caught`. What `judge` refuses may be there at one moment and not at the next (a connection that
// nobody has accepted yet), since a look at the running tree found nothing; and who was sent into its gate
// may have gone home, and on, where this machine is too busy to get back to it. The tree is let go and caught
// again, some times, before that is the answer. Error::TargetGone: the root has ended, whoever has its number
// by now. On an error the tree goes on when `caught` goes, whose connections the caller gives up before.
Result<void> catch_tree(const Catching& with, const std::function<Result<void>(const Model&)>& judge,
                        pb::Stats& stats, CaughtTree& caught);

}  // namespace bpfckpt::dump
