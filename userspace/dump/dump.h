// SPDX-License-Identifier: Apache-2.0
// `dump` as a table of contents: what is done before, inside of, and after the frozen window.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "diagnose/findings.h"
#include "images/manifest.pb.h"
#include "kinds/policy.h"
#include "model/model.h"
#include "model/special_mapping.h"

namespace bpfckpt::dump {

enum class After { Kill, LeaveRunning, LeaveStopped };

struct Options {
  pid_t root = 0;
  std::string images_dir;
  DumpPolicy policy;
  std::chrono::milliseconds timeout{10'000};
  After after = After::Kill;
  // The checkpoint is on the disk before the tree is killed, or, if it runs on, before dump() returns. Never
  // in the frozen window of a tree that runs on.
  bool sync = true;
  // Called at "pre-dump" and "post-dump" and so on; an error ends the dump.
  std::function<Result<void>(const char* stage)> at_stage;
  // What of the tree's shape a restore could not make again. Asked of the running tree, where `again` looks a
  // second time, before anything is stopped; and, with `again` empty, when all is read.
  using FindShape = std::vector<diagnose::Item>(const Model& model,
                                                const std::vector<SpecialMapping>& special,
                                                const std::function<Result<Model>()>& again);
  std::function<FindShape> find_shape;
};

// Leaves a complete checkpoint in the directory, or an error, no manifest, and a tree that runs on.
Result<pb::Stats> dump(const Options& options);

}  // namespace bpfckpt::dump
