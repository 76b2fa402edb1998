// SPDX-License-Identifier: Apache-2.0
#include "diagnose/vforks.h"

#include <time.h>

#include <map>
#include <set>

namespace bpfckpt::diagnose {
namespace {

constexpr int kMoreLooks = 4;
constexpr timespec kBetweenLooks{0, 5'000'000};

// Processes with a thread in uninterruptible sleep, of those in `among`.
Result<std::set<std::uint32_t>> waiting(Collector& collector,
                                        const std::map<std::uint32_t, std::uint32_t>& among,
                                        std::uint32_t root) {
  TRY_ASSIGN(const std::vector<TaskSummary> tasks, collector.tree(static_cast<pid_t>(root)));
  std::set<std::uint32_t> pids;
  for (const TaskSummary& task : tasks)
    if (task.uninterruptible() && among.contains(task.tgid)) pids.insert(task.tgid);
  return pids;
}

}  // namespace

Result<std::vector<Item>> find_vforks(Collector& collector, const Model& model) {
  const ModelIndex index(model);
  std::map<std::uint32_t, std::uint32_t> children;  // by parent: one that runs on its memory
  for (const pb::Process& process : model.tasks.processes()) {
    const pb::Process* parent = index.process(process.parent_pid());
    if (parent != nullptr && process.mm_id() != 0 && parent->mm_id() == process.mm_id())
      children.emplace(parent->pid(), process.pid());
  }
  if (children.empty()) return {};
  const std::uint32_t root = model.tasks.processes(0).pid();
  for (int i = 0; i <= kMoreLooks && !children.empty(); i++) {
    if (i != 0) ::nanosleep(&kBetweenLooks, nullptr);
    TRY_ASSIGN(const std::set<std::uint32_t> still, waiting(collector, children, root));
    std::erase_if(children, [&](const auto& pair) { return !still.contains(pair.first); });
  }
  std::vector<Item> items;
  for (const auto& [parent, child] : children)
    items.push_back(about_process(
        parent, "vfork", fmt::format("it waits in vfork(2) until pid {} ends or executes a program", child)));
  return items;
}

}  // namespace bpfckpt::diagnose
