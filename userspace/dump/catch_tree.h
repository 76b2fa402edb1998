// SPDX-License-Identifier: Apache-2.0
// The first steps of the frozen window: the tree stands still, its connections are locked, what BPF says of
// it is known.
#pragma once

#include <chrono>
#include <functional>
#include <optional>

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
  std::chrono::milliseconds timeout;
};

// Fills `caught`. What `judge` refuses may be there at one moment and not at the next (a connection that
// nobody has accepted yet), since a look at the running tree found nothing: the tree is let go and caught
// again, some times, before the refusal is the answer. On an error the tree goes on when `caught` goes, whose
// connections the caller gives up before.
Result<void> catch_tree(const Catching& with, const std::function<Result<void>(const Model&)>& judge,
                        pb::Stats& stats, CaughtTree& caught);

}  // namespace bpfckpt::dump
