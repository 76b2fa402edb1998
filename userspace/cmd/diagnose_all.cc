// SPDX-License-Identifier: Apache-2.0
#include "cmd/diagnose_all.h"

#include <unistd.h>

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

#include "cmd/shape.h"
#include "diagnose/lasting.h"
#include "diagnose/look.h"
#include "diagnose/moment.h"

namespace bpfckpt {
namespace {

using diagnose::Item;
using diagnose::Moment;
using kinds::Verdict;

// What is read of one process costs two or three times its share of a pass over the machine.
constexpr std::size_t kFew = 4;
// And for unix sockets that lead out of a tree all descriptors of the machine are looked at.
constexpr std::size_t kFewRoots = 8;
constexpr const char* kLinkRemap = "link-remap";

const char* state_of(const TaskSummary& task) {
  return task.zombie() ? "zombie" : task.group_stopped() ? "stopped" : "running";
}

// The root's own, and what is not all right below it.
void add(std::vector<Item> items, Diagnosed& root) {
  for (Item& item : items) {
    item.root = root.pid;
    if (item.pid == root.pid)
      root.items.push_back(std::move(item));
    else if (item.finding.verdict != Verdict::Ok)
      root.below.push_back(std::move(item));
  }
}

class Looking {
 public:
  Looking(Collector& collector, const DiagnoseOptions& options, const std::vector<SpecialMapping>& special)
      : collector_(collector),
        options_(options),
        special_(special),
        // The table has only what is refused.
        refused_only_(options.unsupported_only || !options.common.json) {}

  Result<std::vector<Diagnosed>> all(diagnose::Names& names);

 private:
  // What one look at a tree shows. `model`: none where it cannot be looked at.
  struct Seen {
    std::optional<Model> model;
    std::vector<Item> items;
  };
  // Error::TargetGone, and no other.
  Result<Seen> look(const diagnose::Forest& forest, const collect::Snapshot* snapshot, pid_t root,
                    diagnose::Names& names, bool refused_only);
  Result<std::vector<Item>> look_more(const Model& model, pid_t root);
  Result<std::vector<Item>> look_again(const std::set<std::uint32_t>& roots);
  void carry_up(const diagnose::Forest& forest);

  Collector& collector_;
  const DiagnoseOptions& options_;
  const std::vector<SpecialMapping>& special_;
  const bool refused_only_;
  std::vector<Diagnosed> processes_;
  std::set<std::uint32_t> gone_;
  Model spare_;
};

Result<Looking::Seen> Looking::look(const diagnose::Forest& forest, const collect::Snapshot* snapshot,
                                    pid_t root, diagnose::Names& names, bool refused_only) {
  Seen seen;
  // Whatever else the tree has: it cannot be taken from inside of it.
  if (forest.is_above(root, ::getpid())) {
    seen.items.push_back(diagnose::about_process(root, diagnose::kAboveBpfckpt,
                                                 "this bpfckpt is below it, which cannot stop itself"));
    return seen;
  }
  const std::vector<pid_t> tree = forest.tree(root);
  auto model = diagnose::look(collector_, snapshot, tree, 1, std::move(spare_));
  if (!model && model.error().code() == Error::Code::TargetGone) return fail(std::move(model.error()));
  if (!model) {
    seen.items.push_back(diagnose::about_process(root, diagnose::kUnreadable, model.error().message()));
    return seen;
  }
  seen.model = std::move(*model);
  seen.items = find_all(*seen.model, options_.policy, names, refused_only);
  auto lacks_name = [](const Item& item) { return item.finding.code == kLinkRemap; };
  if (snapshot != nullptr && tree.size() > 1 && std::ranges::any_of(seen.items, lacks_name)) {
    // What is mapped below may have the name that is looked for.
    TRY_ASSIGN(seen.model, diagnose::look(collector_, snapshot, tree, tree.size(), {}));
    seen.items = find_all(*seen.model, options_.policy, names, refused_only);
  }
  return seen;
}

Result<std::vector<Item>> Looking::look_more(const Model& model, pid_t root) {
  auto items = find_more(collector_, model, special_, [&] { return diagnose::look(collector_, root); });
  if (!items && items.error().code() != Error::Code::TargetGone)
    return std::vector{diagnose::about_process(root, diagnose::kUnreadable, items.error().message())};
  return items;
}

// Few are read one by one, many at one moment for all of them.
Result<std::vector<Item>> Looking::look_again(const std::set<std::uint32_t>& roots) {
  TRY_ASSIGN(const diagnose::Forest forest, diagnose::Forest::take(collector_));
  std::size_t processes = 0;
  for (const std::uint32_t root : roots) processes += forest.tree(static_cast<pid_t>(root)).size();
  std::optional<collect::Snapshot> snapshot;
  if (processes > forest.leaders().size() / kFew || roots.size() > kFewRoots) {
    TRY_ASSIGN(snapshot, collector_.snapshot());
  }
  diagnose::Names names;
  std::vector<Item> items;
  for (const std::uint32_t root : roots) {
    auto seen = look(forest, snapshot ? &*snapshot : nullptr, static_cast<pid_t>(root), names, true);
    if (!seen) {
      gone_.insert(root);
      continue;
    }
    for (Item& item : seen->items) {
      item.root = root;
      items.push_back(std::move(item));
    }
    if (seen->model) spare_ = std::move(*seen->model);
  }
  return items;
}

// Of the plain mappings of what is below a root its tree shows nothing but addresses (collect/outline.h).
void Looking::carry_up(const diagnose::Forest& forest) {
  auto is_of_memory = [](const Item& item) {
    return item.finding.verdict != Verdict::Ok &&
           ((item.subject.starts_with("mapping ") && item.finding.code == "covered") ||
            item.finding.code == kTooManyMappings);
  };
  auto is_same = [](const Item& a, const Item& b) {
    return a.pid == b.pid && a.subject == b.subject && a.finding.code == b.finding.code;
  };
  std::unordered_map<std::uint32_t, Diagnosed*> by_pid;
  for (Diagnosed& process : processes_)
    if (!forest.is_above(static_cast<pid_t>(process.pid), ::getpid())) by_pid.emplace(process.pid, &process);
  for (const Diagnosed& process : processes_)
    for (const Item& item : process.items) {
      if (!is_of_memory(item)) continue;
      for (const pid_t root : forest.above(static_cast<pid_t>(process.pid)))
        if (auto it = by_pid.find(static_cast<std::uint32_t>(root)); it != by_pid.end()) {
          std::vector<Item>& below = it->second->below;
          if (std::ranges::any_of(below, [&](const Item& known) { return is_same(known, item); })) continue;
          below.push_back(item);
          below.back().root = it->first;
        }
    }
}

Result<std::vector<Diagnosed>> Looking::all(diagnose::Names& names) {
  TRY_ASSIGN(const Moment moment, Moment::take(collector_));
  std::vector<std::vector<Item>> more;  // of each process, what was looked at twice already
  for (const TaskSummary& task : moment.forest.leaders()) {
    const auto pid = static_cast<pid_t>(task.tgid);
    if (pid == ::getpid()) continue;
    auto seen = look(moment.forest, &moment.snapshot, pid, names, refused_only_);
    if (!seen) continue;
    std::vector<Item> lasting;
    if (seen->model) {
      auto found = look_more(*seen->model, pid);
      if (!found) continue;
      lasting = std::move(*found);
      spare_ = std::move(*seen->model);
    }
    processes_.push_back({task.tgid, task.real_parent, task.comm, state_of(task), {}});
    add(std::move(seen->items), processes_.back());
    more.push_back(std::move(lasting));
  }
  std::vector<std::vector<Item>*> lists;
  for (Diagnosed& process : processes_) {
    lists.push_back(&process.items);
    lists.push_back(&process.below);
  }
  TRY(diagnose::keep_lasting(lists, [&](const auto& roots) { return look_again(roots); }));
  for (std::size_t i = 0; i < processes_.size(); i++) add(std::move(more[i]), processes_[i]);
  std::erase_if(processes_, [&](const Diagnosed& process) { return gone_.contains(process.pid); });
  carry_up(moment.forest);
  auto is_inside = [&](const Item& item, std::uint32_t pid) {
    return pid == item.root || moment.forest.is_above(static_cast<pid_t>(item.root), static_cast<pid_t>(pid));
  };
  name_all_holders(collector_, &moment, is_inside, refused_only_, processes_);
  return std::move(processes_);
}

}  // namespace

Result<std::vector<Diagnosed>> diagnose_all(Collector& collector, const DiagnoseOptions& options,
                                            const std::vector<SpecialMapping>& special,
                                            diagnose::Names& names) {
  return Looking(collector, options, special).all(names);
}

}  // namespace bpfckpt
