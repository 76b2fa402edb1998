// SPDX-License-Identifier: Apache-2.0
// `restore` as a table of contents.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "model/special_mapping.h"
#include "restore/checks.h"
#include "restore/planner.h"

namespace bpfckpt::restore {

struct Options {
  std::string images_dir;
  RestorePolicy policy;
  bool sibling = false;
  bool leave_stopped = false;
  bool file_rwx_check = true;
  bool network_lock = true;
  bool tcp_close = false;
  CpuCheck cpu;
  // Of bpfckpt itself; the collector tells.
  std::vector<SpecialMapping> special_mappings;
  // Called at "pre-restore", "post-restore", "pre-resume", "post-resume"; an error before "post-resume" ends
  // the restore, and nothing is left of the tree.
  std::function<Result<void>(const char* stage, pid_t root)> at_stage;
};

struct Outcome {
  pid_t root = 0;             // runs; a child of bpfckpt unless `sibling`
  bool has_terminal = false;  // a group of the tree is in the foreground of our terminal, where we were
};

Result<Outcome> restore(const Options& options);

// What restore would do, as text.
Result<std::string> plan_text(const Options& options);

}  // namespace bpfckpt::restore
