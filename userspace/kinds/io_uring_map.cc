// SPDX-License-Identifier: Apache-2.0
// The mappings of rings, which only processes themselves can make, and only where the kernel likes
// (exact_place.h). All those of an address space are made by one process, one after the other, while nothing
// else is mapped there: every other thread of the tree waits.
#include "kinds/io_uring_map.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <map>
#include <set>

#include "kinds/exact_place.h"
#include "kinds/io_uring.h"
#include "model/vm_flags.h"

namespace bpfckpt::kinds {
namespace {

int protection(const pb::Vma& vma) {
  return static_cast<int>(vma.flags() & (vm::kRead | vm::kWrite | vm::kExec));  // the same numbers
}

class Mapper {
 public:
  Mapper(PlanBuilder& plan, const Installed& installed, const pb::Process& process)
      : plan_(plan), installed_(installed), pid_(process.pid()) {}

  Result<void> run(const pb::AddressSpace& mm) {
    std::vector<PlacedMapping> mappings;
    std::vector<const pb::Vma*> not_for_children;
    for (const pb::Vma& vma : mm.vmas()) {
      const pb::File* file = plan_.index().file(vma.file_id());
      if (file == nullptr || file->kind() != "io_uring") continue;
      TRY_ASSIGN(const Operand fd, descriptor(file->id()));
      mappings.push_back({vma.start(), vma.end() - vma.start(), protection(vma), fd, vma.file_offset()});
      if (vma.flags() & vm::kDontCopy) not_for_children.push_back(&vma);
    }
    place_exactly(plan_, pid_, mm, std::move(mappings));
    for (const pb::Vma* vma : not_for_children)
      plan_.call(pid_, SYS_madvise, {vma->start(), vma->end() - vma->start(), MADV_DONTFORK});
    for (const auto& [id, held] : held_)
      if (held.borrowed) plan_.call(pid_, SYS_close, {held.fd});
    return {};
  }

 private:
  Result<Operand> descriptor(std::uint32_t file_id) {
    auto it = held_.find(file_id);
    if (it == held_.end()) {
      TRY_ASSIGN(HeldDescriptor held, hold_descriptor(plan_, installed_, pid_, pid_, file_id));
      it = held_.emplace(file_id, held).first;
    }
    return it->second.fd;
  }

  PlanBuilder& plan_;
  const Installed& installed_;
  const std::uint32_t pid_;
  std::map<std::uint32_t, HeldDescriptor> held_;  // by file
};

}  // namespace

Result<HeldDescriptor> hold_descriptor(PlanBuilder& plan, const Installed& installed, Actor actor,
                                       std::uint32_t pid, std::uint32_t file_id) {
  std::span<const Installed::Place> places = installed.places(file_id);
  const pb::Process* process = plan.index().process(pid);
  for (const Installed::Place& place : places) {
    const pb::Process* holder = plan.index().process(place.pid);
    if (place.pid == pid ||
        (process != nullptr && holder != nullptr && holder->fd_table_id() == process->fd_table_id()))
      return HeldDescriptor{Operand(place.fd), false};
  }
  if (places.empty()) return fail(Error::bad_image(fmt::format("io_uring: nobody has file {}", file_id)));
  OpId fetched = plan.op(Op::Code::Fetch, kSelf, {places.front().pid, places.front().fd}, "for the moment");
  plan.close_later(Operand::result(fetched));
  return HeldDescriptor{Operand::result(plan.op(Op::Code::Pull, actor, {Operand::result(fetched)})), true};
}

Result<void> map_urings(PlanBuilder& plan, const Installed& installed) {
  std::set<std::uint32_t> done;
  for (const pb::Process& process : plan.model().tasks.processes()) {
    const pb::AddressSpace* mm = plan.index().address_space(process.mm_id());
    if (process.state() == pb::ZOMBIE || mm == nullptr || !done.insert(mm->id()).second) continue;
    TRY(Mapper(plan, installed, process).run(*mm), "pid {}", process.pid());
  }
  return {};
}

}  // namespace bpfckpt::kinds
