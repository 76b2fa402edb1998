// SPDX-License-Identifier: Apache-2.0
#include "collect/snapshot.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "collect/outline.h"
#include "collect/reader.h"

namespace bpfckpt::collect {
namespace {

struct Owner {
  std::uint32_t tgid = 0;
  bool leader = false;
};

// Whose a record is, for those that say so; those that follow them are of the same.
std::optional<Owner> owner_of(const record_head& head) {
  if (head.type == RECORD_TASK)
    if (auto task = as<task_record>(head)) return Owner{task->tgid, (task->flags & TASK_LEADER) != 0};
  if (head.type == RECORD_FILE)
    if (auto file = as<file_record>(head); file != nullptr && file->fd >= 0) return Owner{file->tgid};
  if (head.type == RECORD_VMA)
    if (auto vma = as<vma_record>(head)) return Owner{vma->tgid};
  return {};
}

}  // namespace

// Puts each record of a pass where it belongs.
class MachinePass::Cutting {
 public:
  // Begins anew.
  Cutting(MachinePass& pass, bool outlines) : pass_(pass), outlines_(outlines) {
    pass_.cuts_.clear();
    pass_.records_.clear();
    pass_.outlines_.clear();
  }

  Result<void> add(const record_head& head) {
    if (auto owner = owner_of(head)) {
      if (owner->tgid != tgid_) TRY(end());
      tgid_ = owner->tgid;
      cut_ = &pass_.cuts_[tgid_];
      to_ = owner->leader ? &cut_->leader : &cut_->others;
    }
    if (to_ == nullptr) return fail(Error::bug("a record that belongs to no process"));
    TRY(pass_.records_.add(head, *to_));
    return outlines_ ? outline_.add(head, into_outline_) : Result<void>();
  }
  // There is no more of the process that the last record was of.
  Result<void> end() { return outlines_ && cut_ != nullptr ? outline_.end(into_outline_) : Result<void>(); }

 private:
  MachinePass& pass_;
  const bool outlines_;
  std::uint32_t tgid_ = 0;
  Cut* cut_ = nullptr;
  std::vector<PackedRecords::Run>* to_ = nullptr;
  Outline outline_;
  const Outline::Out into_outline_ = [this](const record_head& head) {
    return pass_.outlines_.add(head, cut_->outline);
  };
};

Result<MachinePass> MachinePass::take(const Programs& programs, Program program) {
  MachinePass pass(program);
  std::optional<Cutting> cutting(std::in_place, pass, false);
  TRY_ASSIGN(const Fd link, make_link(programs.fd(program), Scope::everything()));
  TRY(visit_all(
      link.get(), [&](const record_head& head) { return cutting->add(head); },
      [&] { cutting.emplace(pass, false); }));
  return pass;
}

Result<MachinePass> MachinePass::take(const Programs& programs, Program program, UnixEnds& ends) {
  MachinePass pass(program);
  const bool outlines = program == Program::DumpVmas;
  std::optional<Cutting> cutting(std::in_place, pass, outlines);
  TRY_ASSIGN(const Fd link, make_link(programs.fd(program), Scope::everything()));
  auto visit = [&](const record_head& head) -> Result<void> {
    // Two thousand bytes a process.
    if (head.type == RECORD_SIGHAND) return {};
    ends.add(head);
    return cutting->add(head);
  };
  auto again = [&] {
    if (program == Program::DumpFiles) ends.forget_holders();
    cutting.emplace(pass, outlines);
  };
  TRY(visit_all(link.get(), visit, again));
  TRY(cutting->end());
  return pass;
}

Result<void> MachinePass::append(pid_t tgid, Records& records) const {
  const auto cut = cuts_.find(static_cast<std::uint32_t>(tgid));
  if (cut == cuts_.end()) return {};
  TRY(PackedRecords::append(cut->second.leader, records));
  return PackedRecords::append(cut->second.others, records);
}

Result<void> MachinePass::append_outline(pid_t tgid, Records& records) const {
  const auto cut = cuts_.find(static_cast<std::uint32_t>(tgid));
  return cut == cuts_.end() ? Result<void>() : PackedRecords::append(cut->second.outline, records);
}

Result<Snapshot> Snapshot::take(const Programs& programs) {
  Snapshot snapshot;
  for (Program program : {Program::DumpTasks, Program::DumpFiles, Program::DumpVmas}) {
    TRY_ASSIGN(MachinePass pass, MachinePass::take(programs, program, snapshot.ends_));
    snapshot.passes_.push_back(std::move(pass));
  }
  return snapshot;
}

Result<const MachinePass*> Snapshot::pass(Program program) const {
  const auto pass = std::ranges::find(passes_, program, &MachinePass::program);
  if (pass == passes_.end()) return fail(Error::bug("a snapshot of a program that it has not"));
  return &*pass;
}

Result<void> Snapshot::append(Program program, pid_t tgid, Records& records) const {
  TRY_ASSIGN(const MachinePass* pass, this->pass(program));
  return pass->append(tgid, records);
}

Result<void> Snapshot::append_outline(pid_t tgid, Records& records) const {
  TRY_ASSIGN(const MachinePass* pass, this->pass(Program::DumpVmas));
  return pass->append_outline(tgid, records);
}

}  // namespace bpfckpt::collect
