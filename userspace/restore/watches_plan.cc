// SPDX-License-Identifier: Apache-2.0
#include "restore/watches_plan.h"

#include <sys/syscall.h>

#include <algorithm>
#include <unordered_map>

#include "kinds/marks.h"
#include "kinds/names.h"

namespace bpfckpt::restore {
namespace {

// One place for each file that somebody has.
class OnePlace final : public kinds::Installed {
 public:
  OnePlace(const Model& model, const ModelIndex& index) {
    for (const pb::Process& process : model.tasks.processes()) {
      const pb::FdTable* table =
          process.state() == pb::ZOMBIE ? nullptr : index.fd_table(process.fd_table_id());
      if (table == nullptr) continue;
      for (const pb::FdEntry& entry : table->entries())
        places_.try_emplace(entry.file_id(), Place{process.pid(), entry.fd()});
    }
  }

  std::span<const Place> places(std::uint32_t file_id) const override {
    auto it = places_.find(file_id);
    return it == places_.end() ? std::span<const Place>() : std::span(&it->second, 1);
  }
  Occupant at(std::uint32_t, std::uint32_t) const override { return {}; }

 private:
  std::unordered_map<std::uint32_t, Place> places_;
};

bool is_given(const pb::File& file, const RestorePolicy& policy) {
  return std::ranges::any_of(kinds::external_names(file, policy.external),
                             [&](const std::string& name) { return policy.inherited.contains(name); });
}

}  // namespace

Result<void> plan_watches(Planning& planning) {
  PlanBuilder& plan = planning.plan;
  plan.phase("watches");
  for (auto& [inode, fd] : planning.removed_directories) plan.call(kSelf, SYS_close, {fd});
  const OnePlace installed(planning.model(), plan.index());
  for (const pb::File& file : planning.model().files.files()) {
    const kinds::Watcher* watcher = kinds::find_watcher(file.kind());
    if (watcher == nullptr || is_given(file, planning.policy)) continue;
    std::span<const kinds::Installed::Place> places = installed.places(file.id());
    if (places.empty()) continue;  // nobody waits for events
    plan.about(file.id());
    OpId fd = plan.op(Op::Code::Fetch, kSelf, {places.front().pid, places.front().fd}, "watches of file");
    TRY(watcher->plan_marks(plan, file, installed, Operand::result(fd)), "file {} ({})", file.id(),
        file.kind());
    plan.call(kSelf, SYS_close, {Operand::result(fd)});
    plan.about(0);
  }
  return {};
}

}  // namespace bpfckpt::restore
