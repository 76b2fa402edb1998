// SPDX-License-Identifier: Apache-2.0
// Locks and leases.
//
// The kernel keeps them by inode, whoever holds them. Ours are the POSIX locks of a descriptor table of the
// tree (fl_owner is the files_struct), and the others of a description that a process of the tree has.
//
// Who waits for a lock of ours: the tree's own waiters left the kernel's queue when they were stopped, and
// call again when they go on; of a running tree they are told by the process that they belong to. Who holds
// a description besides the tree: nothing in the kernel lists that, but there are more references to it than
// the tree's descriptors and mappings. A thread inside of a system call has one too, if it shares its
// descriptors (fs/file.c:fdget()); so of running tasks the count may be too high by some, for a moment
// (diagnose/look.cc looks again), or for long where one waits for a lock of that very description.
#include <fcntl.h>

#include <algorithm>

#include "collect/builder.h"

namespace bpfckpt::collect {
namespace {

bool is_posix(const lock_record& record) {
  return (record.flags & (LOCK_IS_POSIX | LOCK_IS_OPEN_FILE)) == LOCK_IS_POSIX;
}

pb::LockKind kind_of(const lock_record& record) {
  if ((record.flags & LOCK_IS_FLOCK) != 0) return pb::LOCK_FLOCK;
  if ((record.flags & (LOCK_IS_LEASE | LOCK_IS_DELEGATION)) != 0) return pb::LOCK_LEASE;
  return is_posix(record) ? pb::LOCK_POSIX : pb::LOCK_OPEN_FILE;
}

}  // namespace

// A running tree may have closed the file meanwhile.
bool Builder::is_ours(const lock_record& record) const {
  if (file_ids_.find(record.file) == 0) return false;
  return is_posix(record) ? table_ids_.find(record.owner) != 0 : record.owner == record.file;
}

void Builder::add_locks() {
  if (locks_.empty()) return;
  std::unordered_map<std::uint32_t, std::uint32_t> pids;  // by number in the initial namespace
  for (const auto& [tgid, group] : groups_)
    for (const task_record* thread : group.threads)
      if (thread->tid == tgid) pids[thread->ns_tid[0]] = tgid;
  auto pid_of = [&pids](std::int32_t number) {
    auto it = pids.find(static_cast<std::uint32_t>(number));
    return it == pids.end() ? 0 : it->second;
  };
  for (const lock_record* record : locks_) {
    if (!is_ours(*record)) continue;
    pb::FileLock& lock = *model_.files.add_locks();
    lock.set_kind(kind_of(*record));
    lock.set_file_id(file_ids_.find(record->file));
    lock.set_pid(pid_of(record->pid));
    lock.set_type(record->type);
    if (lock.kind() == pb::LOCK_POSIX || lock.kind() == pb::LOCK_OPEN_FILE) {
      lock.set_start(static_cast<std::uint64_t>(record->start));
      lock.set_end(static_cast<std::uint64_t>(record->end));
    }
    if (lock.kind() == pb::LOCK_LEASE) {
      lock.set_fd(static_cast<std::uint32_t>(std::max(record->fd, 0)));
      lock.set_broken_by_reader((record->flags & LOCK_DOWNGRADE_PENDING) != 0);
      lock.set_broken_by_writer((record->flags & LOCK_UNLOCK_PENDING) != 0);
      lock.set_delegation((record->flags & LOCK_IS_DELEGATION) != 0);
    }
    // Who waits for an OFD lock has no number, but a description.
    const bool own_waiter =
        record->waiter_pid > 0 ? pid_of(record->waiter_pid) != 0 : file_ids_.find(record->waiter_file) != 0;
    if (record->has_waiter != 0 && !own_waiter) {
      lock.set_has_waiter(true);
      lock.set_waiter_pid(static_cast<std::uint32_t>(std::max(record->waiter_pid, 0)));
    }
    const bool in_use = records_.of_running() && record->has_waiter != 0 && own_waiter;
    if (lock.kind() == pb::LOCK_POSIX) {
      lock.set_fd_table_id(table_ids_.find(record->owner));
    } else if (!in_use) {
      const std::uint64_t own = references_[lock.file_id()];
      if (record->references > own)
        lock.set_outside_holders(static_cast<std::uint32_t>(record->references - own));
    }
  }
}

}  // namespace bpfckpt::collect
