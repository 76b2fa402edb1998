// SPDX-License-Identifier: Apache-2.0
#include "cmd/holders.h"

#include <charconv>
#include <map>
#include <set>
#include <unordered_map>

#include "model/details.h"

namespace bpfckpt {
namespace {

using diagnose::Item;

constexpr std::size_t kMostNamed = 3;

bool reaches_out(const Item& item) {
  return item.subject.starts_with("fd ") &&
         (item.finding.code == "pipe-outside" || item.finding.code == "file-lock-shared");
}

std::uint32_t descriptor_of(const Item& item) {
  std::uint32_t fd = 0;
  const std::string& subject = item.subject;
  std::from_chars(subject.data() + 3, subject.data() + subject.size(), fd);
  return fd;
}

// The machine's descriptors, by what they lead to.
class Holders {
 public:
  Holders(const Model& model, const std::vector<Diagnosed>& tree) : index_(model) {
    for (const Diagnosed& process : tree) tree_.insert(process.pid);
    for (const pb::Process& process : model.tasks.processes()) {
      const pb::FdTable* table = index_.fd_table(process.fd_table_id());
      if (table == nullptr || tree_.contains(process.pid())) continue;
      for (const pb::FdEntry& entry : table->entries()) {
        const pb::File* file = index_.file(entry.file_id());
        if (file == nullptr) continue;
        by_file_[file->id()].insert(&process);
        if (file->object_id() != 0) by_object_[file->object_id()].insert(&process);
      }
    }
  }

  // "pid 4711 (bash), pid 4712 (cat) and 3 more"; empty: nobody that we can see.
  std::string of(const Item& item) const {
    const pb::Process* process = index_.process(item.pid);
    const pb::FdTable* table = process == nullptr ? nullptr : index_.fd_table(process->fd_table_id());
    if (table == nullptr) return "";
    const std::uint32_t fd = descriptor_of(item);
    for (const pb::FdEntry& entry : table->entries()) {
      if (entry.fd() != fd) continue;
      const pb::File* file = index_.file(entry.file_id());
      if (file == nullptr) return "";
      // A lock is shared by who has the same description, a pipe by who has an end of it.
      const bool object = item.finding.code == "pipe-outside";
      const auto& map = object ? by_object_ : by_file_;
      auto it = map.find(object ? file->object_id() : file->id());
      return it == map.end() ? "" : named(it->second);
    }
    return "";
  }

 private:
  using Processes = std::set<const pb::Process*>;

  static std::string named(const Processes& processes) {
    std::map<std::uint32_t, std::string> names;
    for (const pb::Process* process : processes)
      names.emplace(process->pid(), process->threads_size() == 0 ? "" : process->threads(0).comm());
    std::string text;
    std::size_t count = 0;
    for (const auto& [pid, name] : names) {
      if (count++ == kMostNamed) return text + fmt::format(" and {} more", names.size() - kMostNamed);
      text += fmt::format("{}pid {} ({})", text.empty() ? "" : ", ", pid, name);
    }
    return text;
  }

  ModelIndex index_;
  std::set<std::uint32_t> tree_;
  std::unordered_map<std::uint32_t, Processes> by_file_, by_object_;
};

}  // namespace

Result<void> name_holders(Collector& collector, std::vector<Diagnosed>& processes) {
  std::vector<Item*> open;
  for (Diagnosed& process : processes)
    for (Item& item : process.items)
      if (reaches_out(item)) open.push_back(&item);
  if (open.empty()) return {};
  TRY_ASSIGN(const std::vector<TaskSummary> tasks, collector.all());
  std::vector<pid_t> pids;
  for (const TaskSummary& task : tasks)
    if (task.tid == task.tgid) pids.push_back(static_cast<pid_t>(task.tgid));
  TRY_ASSIGN(collect::Records records, collector.collect(pids, Collector::Tasks::Running));
  auto model = to_model(records, static_cast<pid_t>(processes.front().pid));
  collector.recycle(std::move(records));
  if (!model) return {};  // the tree is gone meanwhile; what was seen of it stands
  const Holders holders(*model, processes);
  for (Item* item : open)
    if (std::string names = holders.of(*item); !names.empty())
      item->finding.reason += fmt::format("; {} has it", names);
  return {};
}

}  // namespace bpfckpt
