// SPDX-License-Identifier: Apache-2.0
// Who is below whom, on the whole machine at one moment.
#pragma once

#include <sys/types.h>

#include <unordered_map>
#include <vector>

#include "collect/collector.h"

namespace bpfckpt::diagnose {

class Forest {
 public:
  static Result<Forest> take(Collector& collector);

  // The leaders of all processes but the kernel's, in the order of the kernel's list.
  const std::vector<TaskSummary>& leaders() const { return leaders_; }
  // `root` and what is below it, parents before children.
  std::vector<pid_t> tree(pid_t root) const;
  // Whether `pid` is one of what is above that process.
  bool is_above(pid_t pid, pid_t process) const;

 private:
  std::vector<TaskSummary> leaders_;
  std::unordered_map<pid_t, std::vector<pid_t>> children_;
  std::unordered_map<pid_t, pid_t> parents_;
};

}  // namespace bpfckpt::diagnose
