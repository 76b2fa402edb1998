// SPDX-License-Identifier: Apache-2.0
#include "cmd/diagnose_all.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <ranges>
#include <set>
#include <utility>

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

// What a tree shows of a process below its root only if that is looked at in full (collect/outline.h).
bool is_of_plain_mappings(const Item& item) {
  return item.finding.verdict != Verdict::Ok &&
         ((item.subject.starts_with("mapping ") && item.finding.code == "covered") ||
          item.finding.code == kTooManyMappings);
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

  Collector& collector_;
  const DiagnoseOptions& options_;
  const std::vector<SpecialMapping>& special_;
  const bool refused_only_;
  std::vector<Diagnosed> processes_;
  std::set<std::uint32_t> gone_;
  // Those of whose plain mappings there is something to tell, in each tree that has them.
  std::set<pid_t> with_told_mappings_;
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
  const bool short_tells_all =
      std::ranges::none_of(tree, [&](pid_t pid) { return pid != root && with_told_mappings_.contains(pid); });
  auto lacks_name = [](const Item& item) { return item.finding.code == kLinkRemap; };
  for (std::size_t in_full = short_tells_all ? 1 : tree.size();; in_full = tree.size()) {
    auto model = diagnose::look(collector_, snapshot, tree, in_full, std::move(spare_));
    if (!model && model.error().code() == Error::Code::TargetGone) return fail(std::move(model.error()));
    if (!model) {
      seen.items = {diagnose::about_process(root, diagnose::kUnreadable, model.error().message())};
      return seen;
    }
    seen.items = find_all(*model, options_.policy, names, refused_only);
    // What is mapped below may have the name that is looked for.
    if (snapshot != nullptr && in_full < tree.size() && std::ranges::any_of(seen.items, lacks_name)) {
      spare_ = std::move(*model);
      continue;
    }
    seen.model = std::move(*model);
    return seen;
  }
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

Result<std::vector<Diagnosed>> Looking::all(diagnose::Names& names) {
  TRY_ASSIGN(const Moment moment, Moment::take(collector_));
  // Trees before those that they are in: what is below a root is known when it is looked at.
  const std::vector<TaskSummary>& leaders = moment.forest.leaders();
  std::vector<std::pair<std::size_t, std::size_t>> order;  // processes of a tree, place of its root
  for (std::size_t place = 0; place < leaders.size(); place++)
    order.emplace_back(moment.forest.tree(static_cast<pid_t>(leaders[place].tgid)).size(), place);
  std::ranges::sort(order);
  struct Found {
    Diagnosed process;
    std::vector<Item> more;  // what was looked at twice already
  };
  std::map<std::size_t, Found> found;  // by place
  for (const std::size_t place : order | std::views::values) {
    const TaskSummary& task = leaders[place];
    const auto pid = static_cast<pid_t>(task.tgid);
    if (pid == ::getpid()) continue;
    auto seen = look(moment.forest, &moment.snapshot, pid, names, refused_only_);
    if (!seen) continue;
    Found one{{task.tgid, task.real_parent, task.comm, state_of(task), {}}, {}};
    if (seen->model) {
      auto more = look_more(*seen->model, pid);
      if (!more) continue;
      one.more = std::move(*more);
      spare_ = std::move(*seen->model);
    }
    add(std::move(seen->items), one.process);
    for (const auto* items : {&one.process.items, &one.more})
      if (std::ranges::any_of(*items, is_of_plain_mappings)) with_told_mappings_.insert(pid);
    found.emplace(place, std::move(one));
  }
  for (Found& one : found | std::views::values) processes_.push_back(std::move(one.process));
  std::vector<std::vector<Item>*> lists;
  for (Diagnosed& process : processes_) {
    lists.push_back(&process.items);
    lists.push_back(&process.below);
  }
  TRY(diagnose::keep_lasting(lists, [&](const auto& roots) { return look_again(roots); }));
  auto process = processes_.begin();
  for (Found& one : found | std::views::values) add(std::move(one.more), *process++);
  std::erase_if(processes_, [&](const Diagnosed& process) { return gone_.contains(process.pid); });
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
