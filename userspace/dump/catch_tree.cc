// SPDX-License-Identifier: Apache-2.0
#include "dump/catch_tree.h"

#include <poll.h>

#include <array>
#include <thread>

#include "base/log.h"
#include "dump/aio_rings.h"

namespace bpfckpt::dump {
namespace {

using namespace std::chrono_literals;

// How long requests to disks may take that were made before the freeze.
constexpr std::chrono::milliseconds kAioPatience{1000};

// How long the tree runs before it is caught again.
constexpr std::array kPauses = {2ms, 5ms, 10ms, 20ms, 30ms, 50ms, 70ms, 100ms, 100ms, 100ms};

Result<void> catch_once(const Catching& with, pb::Stats& stats, CaughtTree& caught) {
  caught.frozen.restart();
  TRY_ASSIGN(caught.tree,
             TakenTree::freeze(with.waiter, with.robust, with.collector, with.root, with.timeout));
  stats.set_freezing_us(caught.frozen.us());
  // Of one that is frozen this stays as it is.
  pollfd ended{.fd = with.root_pidfd.get(), .events = POLLIN};
  if (::poll(&ended, 1, 0) != 0)
    return fail(Error::target_gone(fmt::format("pid {}: ended, and is another process by now", with.root)));
  Stopwatch stage;
  TRY(with.connections.lock());
  TRY_ASSIGN(caught.model, collect_quiet(with.collector, *caught.tree, with.root, kAioPatience, caught.late));
  TRY_ASSIGN(const bool more_locked, with.connections.lock_new(caught.model));
  if (more_locked) {
    TRY_ASSIGN(caught.model,
               collect_quiet(with.collector, *caught.tree, with.root, kAioPatience, caught.late));
  }
  stats.set_collect_us(stage.lap_us());
  return {};
}

Result<void> take_over(CaughtTree& caught, std::chrono::seconds gate_wait, pb::Stats& stats) {
  Stopwatch stage;
  TRY(caught.tree->read_threads(caught.model));
  stats.set_threads_us(stage.lap_us());
  TRY(caught.tree->inject(caught.model, gate_wait));
  stats.set_parasites_us(stage.lap_us());
  return {};
}

}  // namespace

Result<void> catch_tree(const Catching& with, const std::function<Result<void>(const Model&)>& judge,
                        pb::Stats& stats, CaughtTree& caught) {
  std::chrono::seconds gate_wait = kGateWait;
  for (auto pause = kPauses.begin();; ++pause) {
    TRY(catch_once(with, stats, caught));
    const Stopwatch judging;
    Result<void> done = judge(caught.model);
    stats.set_model_us(judging.us());
    if (done) {
      done = take_over(caught, gate_wait, stats);
      if (done || !target::went_on(done.error())) return done;
      gate_wait = kLongGateWait;
    }
    if (pause == kPauses.end()) return done;
    log::debug("caught again in {} ms: {}", pause->count(), done.error().message());
    TRY(with.connections.unlock());
    caught.tree.reset();
    std::this_thread::sleep_for(*pause);
  }
}

}  // namespace bpfckpt::dump
