// SPDX-License-Identifier: Apache-2.0
#include "diagnose/forest.h"

#include <unordered_set>
#include <utility>

namespace bpfckpt::diagnose {

Result<Forest> Forest::take(Collector& collector) {
  Forest forest;
  TRY_ASSIGN(std::vector<TaskSummary> tasks, collector.all());
  for (TaskSummary& task : tasks) {
    if (task.tid != task.tgid) continue;
    const auto pid = static_cast<pid_t>(task.tgid), parent = static_cast<pid_t>(task.real_parent);
    forest.children_[parent].push_back(pid);
    forest.parents_.emplace(pid, parent);
    forest.leaders_.push_back(std::move(task));
  }
  return forest;
}

std::vector<pid_t> Forest::tree(pid_t root) const {
  std::vector<pid_t> pids{root};
  // A number that was given again while the list was read may make a ring.
  std::unordered_set<pid_t> seen{root};
  for (std::size_t i = 0; i < pids.size(); i++)
    if (auto it = children_.find(pids[i]); it != children_.end())
      for (const pid_t child : it->second)
        if (seen.insert(child).second) pids.push_back(child);
  return pids;
}

bool Forest::is_above(pid_t pid, pid_t process) const {
  auto it = parents_.find(process);
  for (std::size_t steps = 0; it != parents_.end() && steps < parents_.size(); steps++) {
    if (it->second == pid) return true;
    it = parents_.find(it->second);
  }
  return false;
}

}  // namespace bpfckpt::diagnose
