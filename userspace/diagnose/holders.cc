// SPDX-License-Identifier: Apache-2.0
#include "diagnose/holders.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <unordered_map>

#include "collect/snapshot.h"
#include "model/details.h"

namespace bpfckpt::diagnose {
namespace {

constexpr std::size_t kMostNamed = 3;
constexpr std::size_t kMostListed = 100;

constexpr std::string_view kFd = "fd ", kMapping = "mapping ";

bool reaches_out(const Item& item) {
  const std::string& code = item.finding.code;
  if (item.subject.starts_with(kMapping)) return code == "sysv-shm-outside";
  return item.subject.starts_with(kFd) && (code == "pipe-outside" || code == "file-lock-shared");
}

// The number that follows `prefix` in the item's subject.
std::uint64_t number_of(const Item& item, std::string_view prefix, int base) {
  std::uint64_t number = 0;
  const std::string_view rest = std::string_view(item.subject).substr(prefix.size());
  std::from_chars(rest.data(), rest.data() + rest.size(), number, base);
  return number;
}

// The machine's descriptors and mappings, by what they lead to.
class Holders {
 public:
  Holders(const Model& model, const std::set<std::uint32_t>& tree) : index_(model) {
    for (const pb::Process& process : model.tasks.processes()) {
      if (tree.contains(process.pid())) continue;
      if (const pb::FdTable* table = index_.fd_table(process.fd_table_id()))
        for (const pb::FdEntry& entry : table->entries()) add(process, entry.file_id());
      if (const pb::AddressSpace* mm = index_.address_space(process.mm_id()))
        for (const pb::Vma& vma : mm->vmas())
          if (const pb::File* file = index_.file(vma.file_id());
              file != nullptr && file->kind() == "sysv_shm")
            add(process, file->id());
    }
  }

  // Empty: nobody that we can see.
  std::vector<Holder> of(const Item& item) const {
    const pb::Process* process = index_.process(item.pid);
    if (process == nullptr) return {};
    if (item.subject.starts_with(kMapping)) return of_mapping(*process, number_of(item, kMapping, 16));
    const pb::FdTable* table = index_.fd_table(process->fd_table_id());
    if (table == nullptr) return {};
    const std::uint64_t fd = number_of(item, kFd, 10);
    const auto& entries = table->entries();
    const auto entry = std::ranges::lower_bound(entries, fd, {}, [](const pb::FdEntry& e) { return e.fd(); });
    if (entry == entries.end() || entry->fd() != fd) return {};
    const pb::File* file = index_.file(entry->file_id());
    if (file == nullptr) return {};
    // A lock is shared by who has the same description, a pipe by who has an end of it.
    const bool object = item.finding.code == "pipe-outside";
    const auto& map = object ? by_object_ : by_file_;
    auto it = map.find(object ? file->object_id() : file->id());
    return it == map.end() ? std::vector<Holder>{} : listed(it->second, item.pid);
  }

 private:
  void add(const pb::Process& process, std::uint32_t file_id) {
    const pb::File* file = index_.file(file_id);
    if (file == nullptr) return;
    by_file_[file->id()].emplace(process.pid(), &process);
    if (file->object_id() != 0) by_object_[file->object_id()].emplace(process.pid(), &process);
  }

  std::vector<Holder> of_mapping(const pb::Process& process, std::uint64_t start) const {
    const pb::AddressSpace* mm = index_.address_space(process.mm_id());
    if (mm == nullptr) return {};
    const auto& vmas = mm->vmas();
    const auto vma = std::ranges::lower_bound(vmas, start, {}, [](const pb::Vma& v) { return v.start(); });
    const pb::File* file = vma == vmas.end() || vma->start() != start ? nullptr : index_.file(vma->file_id());
    if (file == nullptr) return {};
    auto it = by_object_.find(file->object_id());
    return it == by_object_.end() ? std::vector<Holder>{} : listed(it->second, process.pid());
  }

  using Processes = std::map<std::uint32_t, const pb::Process*>;  // by pid

  // But for the process that shares with them.
  static std::vector<Holder> listed(const Processes& processes, std::uint32_t own) {
    std::vector<Holder> holders;
    for (const auto& [pid, process] : processes) {
      if (holders.size() == kMostListed) break;
      if (pid == own) continue;
      holders.push_back({pid, process->threads_size() == 0 ? "" : process->threads(0).comm()});
    }
    return holders;
  }

  ModelIndex index_;
  std::unordered_map<std::uint32_t, Processes> by_file_, by_object_;
};

// "pid 4711 (bash), pid 4712 (cat) and 3 more"
std::string named(const std::vector<Holder>& holders) {
  std::string text;
  std::size_t count = 0;
  for (const auto& [pid, command] : holders) {
    if (count++ == kMostNamed)
      return text + fmt::format(" and {}{} more", holders.size() - kMostNamed,
                                holders.size() == kMostListed ? " or" : "");
    text += fmt::format("{}pid {} ({})", text.empty() ? "" : ", ", pid, command);
  }
  return text;
}

}  // namespace

void name_holders(Collector& collector, const std::set<std::uint32_t>& tree, std::span<Item* const> items) {
  std::vector<Item*> open;
  for (Item* item : items)
    if (reaches_out(*item)) open.push_back(item);
  if (open.empty()) return;
  // Names are a help: without them what was found stands as it is.
  const auto tasks = collector.all();
  if (!tasks) return;
  std::vector<pid_t> pids;
  for (const TaskSummary& task : *tasks)
    if (task.tid == task.tgid) pids.push_back(static_cast<pid_t>(task.tgid));
  const auto snapshot = collector.snapshot();
  if (!snapshot) return;
  auto records = collector.collect(pids, *snapshot);
  if (!records) return;
  auto model = to_model(*records, static_cast<pid_t>(open.front()->pid));
  collector.recycle(std::move(*records));
  if (!model) return;
  const Holders holders(*model, tree);
  for (Item* item : open) {
    item->holders = holders.of(*item);
    if (!item->holders.empty()) item->finding.reason += fmt::format("; {} has it", named(item->holders));
  }
}

}  // namespace bpfckpt::diagnose
