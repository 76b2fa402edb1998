// SPDX-License-Identifier: Apache-2.0
// What an io_uring has to do with others: whose it is, whom it tells, who uses it.
#include <bit>

#include "collect/builder.h"
#include "images/kinds/io_uring.pb.h"
#include "model/obstacles.h"

namespace bpfckpt::collect {

// Is it the first process of that address space?
bool Builder::leads(std::uint32_t tid, std::uint32_t mm_id) const {
  for (const pb::Process& process : model_.tasks.processes())
    if (process.mm_id() == mm_id && process.state() != pb::ZOMBIE) return process.pid() == tid;
  return false;
}

Result<void> Builder::settle_urings() {
  std::unordered_map<std::uint32_t, std::uint32_t> registered;  // by thread: in how many of its slots
  std::unordered_set<std::uint32_t> threads;
  for (const auto& [tgid, group] : groups_)
    for (const task_record* task : group.threads) threads.insert(task->tid);
  std::unordered_set<std::uint32_t> opened;
  if (!urings_.empty())
    for (const pb::FdTable& table : model_.files.tables())
      for (const pb::FdEntry& entry : table.entries()) opened.insert(entry.file_id());
  for (const Uring& it : urings_) {
    const uring_record& seen = it.record->detail.io_uring;
    pb::IoUring ring;
    if (!it.file->detail().UnpackTo(&ring)) return fail(Error::bug("details of an io_uring"));
    std::uint32_t state = ring.state();
    const std::uint32_t mm = mm_ids_.find(seen.mm);
    ring.set_mm_id(spaces_.contains(mm) ? mm : 0);
    if (auto eventfd = eventfds_.find(seen.eventfd); eventfd != eventfds_.end())
      ring.set_eventfd_file_id(eventfd->second);
    else
      ring.set_outside_eventfd(seen.eventfd != 0);
    const bool has_descriptor = opened.contains(it.file->id());
    if (!has_descriptor) state |= URING_NO_DESCRIPTOR;
    for (const pb::IoUringUser& user : ring.users()) {
      if (!threads.contains(user.tid())) state |= URING_USED_OUTSIDE;
      if (user.registered() == 0 || !has_descriptor) continue;
      registered[user.tid()] += static_cast<std::uint32_t>(std::popcount(user.registered()));
      if (!(state & URING_REGISTER_RESTRICTED)) continue;
      // Whoever makes it registers before the restrictions hold; others would come too late.
      const bool makes_it =
          ring.submitter_tid() != 0 ? ring.submitter_tid() == user.tid() : leads(user.tid(), ring.mm_id());
      if (!makes_it) state |= URING_OTHERS_REGISTERED;
    }
    ring.set_state(state);
    it.file->mutable_detail()->PackFrom(ring);
  }
  // A thread may go on using a ring whose descriptor it closed.
  for (pb::Process& process : *model_.tasks.mutable_processes())
    for (const task_record* task : groups_[process.pid()].threads)
      if (task->registered_rings > registered[task->tid]) {
        process.add_obstacles(kUringWithoutDescriptor);
        break;
      }
  return {};
}

}  // namespace bpfckpt::collect
