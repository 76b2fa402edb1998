// SPDX-License-Identifier: Apache-2.0
// What happens besides at the stages of a dump or restore: action scripts, --status-fd.
#pragma once

#include <sys/resource.h>

#include <string>
#include <vector>

#include "base/result.h"

namespace bpfckpt {

// Runs each script with CRTOOLS_SCRIPT_ACTION=stage, CRTOOLS_IMAGE_DIR, and CRTOOLS_INIT_PID unless `root` is
// 0. A script that ends other than with 0 is an error.
Result<void> run_action_scripts(const std::vector<std::string>& scripts, const char* stage,
                                const std::string& images_dir, pid_t root);

// Writes one zero byte and closes the descriptor; -1: nothing.
Result<void> signal_ready(int status_fd);

// As many descriptors as we may have: a dump borrows those of a tree, a restore makes them. What is inherited
// by others is given back by the destructor.
class MoreDescriptors {
 public:
  MoreDescriptors();
  ~MoreDescriptors();
  MoreDescriptors(const MoreDescriptors&) = delete;
  MoreDescriptors& operator=(const MoreDescriptors&) = delete;

 private:
  rlimit before_{};
};

}  // namespace bpfckpt
