// SPDX-License-Identifier: Apache-2.0
#include "collect/snapshot.h"

#include <algorithm>

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

Result<void> MachinePass::cut() {
  std::vector<const record_head*>* to = nullptr;
  return records_.for_each([&](const record_head& head) -> Result<void> {
    if (auto owner = owner_of(head)) {
      Cut& cut = cuts_[owner->tgid];
      to = owner->leader ? &cut.leader : &cut.others;
    }
    if (to == nullptr) return fail(Error::bug("a record that belongs to no process"));
    to->push_back(&head);
    return {};
  });
}

Result<MachinePass> MachinePass::take(const Programs& programs, Program program) {
  MachinePass pass(program);
  TRY_ASSIGN(const Fd link, make_link(programs.fd(program), Scope::everything()));
  TRY(read_all(link.get(), pass.records_));
  TRY(pass.cut());
  return pass;
}

Result<void> MachinePass::append(pid_t tgid, Records& records) const {
  const auto cut = cuts_.find(static_cast<std::uint32_t>(tgid));
  if (cut == cuts_.end()) return {};
  for (const auto* heads : {&cut->second.leader, &cut->second.others})
    for (const record_head* head : *heads) TRY(records.append(*head));
  return {};
}

Result<Snapshot> Snapshot::take(const Programs& programs) {
  Snapshot snapshot;
  for (Program program : {Program::DumpTasks, Program::DumpFiles, Program::DumpVmas}) {
    TRY_ASSIGN(MachinePass pass, MachinePass::take(programs, program));
    if (program != Program::DumpVmas) TRY(snapshot.ends_.add(pass.records()));
    snapshot.passes_.push_back(std::move(pass));
  }
  return snapshot;
}

Result<void> Snapshot::append(Program program, pid_t tgid, Records& records) const {
  const auto pass = std::ranges::find(passes_, program, &MachinePass::program);
  if (pass == passes_.end()) return fail(Error::bug("a snapshot of a program that it has not"));
  return pass->append(tgid, records);
}

}  // namespace bpfckpt::collect
