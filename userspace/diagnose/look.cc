// SPDX-License-Identifier: Apache-2.0
#include "diagnose/look.h"

#include "kinds/marks.h"

namespace bpfckpt::diagnose {
namespace {

Result<Model> model_of(Collector& collector, const std::vector<pid_t>& processes) {
  TRY_ASSIGN(collect::Records records, collector.collect(processes, Collector::Tasks::Running));
  auto model = to_model(records, processes.front());
  collector.recycle(std::move(records));
  if (model) TRY(kinds::look_up_targets(*model));
  return model;
}

}  // namespace

Result<Model> look(Collector& collector, pid_t root) {
  TRY_ASSIGN(std::vector<TaskSummary> tasks, collector.tree(root));
  std::vector<pid_t> processes;
  for (const TaskSummary& task : tasks)
    if (task.tid == task.tgid) processes.push_back(static_cast<pid_t>(task.tgid));
  if (processes.empty()) return fail(Error::target_gone(fmt::format("pid {}: no such process", root)));
  return model_of(collector, processes);
}

Result<Model> look_at_one(Collector& collector, pid_t pid) {
  return model_of(collector, {pid});
}

}  // namespace bpfckpt::diagnose
