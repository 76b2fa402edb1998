// SPDX-License-Identifier: Apache-2.0
// Locks and leases.
//
// A POSIX lock belongs to a descriptor table and is taken by a process that has it; all others belong to a
// description, and any process that has one may take them. Where the process that took a lock is still there,
// it takes it again, since F_GETLK and /proc/locks tell its number. Whoever closes any descriptor of a file
// loses its POSIX locks on it (fs/locks.c:locks_remove_posix()): they come when no process closes anything
// any more but the way to bpfckpt. Locks that exist at one time are compatible, so their order does not
// matter; but the kernel looks at all locks of an inode for each new one, and at those of the same owner
// once more up to its place, so they are taken from the end of the file to its beginning.
//
// A flock() stays when the last descriptor of its description is closed, as long as something is mapped
// through it: such a lock is taken with the descriptor that the mapping is made of.
//
// A lease wants that nobody has the file open against it, bpfckpt included, and the right to have one
// (CAP_LEASE, or to own the file): so leases come when all files are made and before credentials are set.
// Where a lease was being broken, it is broken again by an opening that does not wait (O_NONBLOCK), of the
// kind that the first one was. Its holder was told then, and is not told again: while this is done, the
// description has no owner, and nobody gets a signal. Who opened the file and waits, if in the tree, opens it
// again by itself. Not kept: how much time the holder had left; it is given the whole of it
// (/proc/sys/fs/lease-break-time) once more.
#include <fcntl.h>
#include <sys/file.h>
#include <sys/syscall.h>

#include <algorithm>
#include <optional>
#include <set>
#include <unordered_map>

#include "kinds/memory_file.h"
#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

constexpr std::uint64_t kEndOfFile = (std::uint64_t{1} << 63) - 1;  // OFFSET_MAX

struct Place {
  Actor pid = 0;
  std::uint32_t fd = 0;
};

// Who has a description, and by which number.
class Holders {
 public:
  explicit Holders(const Planning& planning) : index_(planning.plan.index()) {
    for (const pb::Process& process : planning.model().tasks.processes()) {
      if (process.state() == pb::ZOMBIE) continue;
      const pb::FdTable* table = index_.fd_table(process.fd_table_id());
      if (table == nullptr || !owners_.try_emplace(table->id(), process.pid()).second) continue;
      for (const pb::FdEntry& entry : table->entries()) {
        places_.try_emplace(key(table->id(), entry.file_id()), entry.fd());
        anywhere_.try_emplace(entry.file_id(), Place{process.pid(), entry.fd()});
      }
    }
  }

  // In that process, if it has the description, else in another one of the table or, for table 0, of the
  // tree.
  Result<Place> find(const pb::FileLock& lock) const {
    const pb::Process* taker = index_.process(lock.pid());
    if (taker != nullptr && taker->state() != pb::ZOMBIE &&
        (lock.kind() != pb::LOCK_POSIX || taker->fd_table_id() == lock.fd_table_id()))
      if (auto fd = number(*taker, lock)) return Place{taker->pid(), *fd};
    if (lock.kind() != pb::LOCK_POSIX) {
      if (auto it = anywhere_.find(lock.file_id()); it != anywhere_.end()) return it->second;
    } else if (auto owner = owners_.find(lock.fd_table_id()); owner != owners_.end()) {
      if (auto it = places_.find(key(owner->first, lock.file_id())); it != places_.end())
        return Place{owner->second, it->second};
    }
    return fail(Error::bad_image(fmt::format("no process has file {}, which is locked", lock.file_id())));
  }

 private:
  std::optional<std::uint32_t> number(const pb::Process& process, const pb::FileLock& lock) const {
    // The signals of a lease name the descriptor by which it was taken.
    if (lock.kind() == pb::LOCK_LEASE &&
        has(*index_.fd_table(process.fd_table_id()), lock.fd(), lock.file_id()))
      return lock.fd();
    auto it = places_.find(key(process.fd_table_id(), lock.file_id()));
    return it == places_.end() ? std::nullopt : std::optional(it->second);
  }

  static bool has(const pb::FdTable& table, std::uint32_t fd, std::uint32_t file_id) {
    auto it = std::ranges::lower_bound(table.entries(), fd, {}, &pb::FdEntry::fd);
    return it != table.entries().end() && it->fd() == fd && it->file_id() == file_id;
  }

  static std::uint64_t key(std::uint32_t table_id, std::uint32_t file_id) {
    return std::uint64_t{table_id} << 32 | file_id;
  }

  const ModelIndex& index_;
  std::unordered_map<std::uint32_t, Actor> owners_;          // of tables: their first process
  std::unordered_map<std::uint64_t, std::uint32_t> places_;  // lowest number in a table
  std::unordered_map<std::uint32_t, Place> anywhere_;
};

void plan_range(PlanBuilder& plan, const pb::FileLock& lock, Place place) {
  struct flock range{};
  range.l_type = static_cast<short>(lock.type());
  range.l_whence = SEEK_SET;
  range.l_start = static_cast<off_t>(lock.start());
  range.l_len = lock.end() == kEndOfFile ? 0 : static_cast<off_t>(lock.end() - lock.start() + 1);
  plan.call(
      place.pid, SYS_fcntl,
      {place.fd, lock.kind() == pb::LOCK_POSIX ? F_SETLK : F_OFD_SETLK, Operand::data(plan.bytes_of(range))},
      "lock on file");
}

bool one_owner(const pb::FileLock& a, const pb::FileLock& b) {
  return a.kind() == b.kind() &&
         (a.kind() == pb::LOCK_POSIX ? a.fd_table_id() == b.fd_table_id() : a.file_id() == b.file_id());
}

// What F_GETLEASE says: fs/locks.c:target_leasetype().
int told_type(const pb::FileLock& lease) {
  if (lease.broken_by_writer()) return F_UNLCK;
  return lease.broken_by_reader() ? F_RDLCK : static_cast<int>(lease.type());
}

// What breaks a lease is expected to fail, with EWOULDBLOCK; whether it did its work is asked afterwards.
void plan_breach(PlanBuilder& plan, Operand fd, int access) {
  OpId opened = plan.reopen(fd, static_cast<std::uint32_t>(access | O_NONBLOCK), "breaks the lease");
  plan.plan().ops[opened].may_fail = true;
}

void plan_lease(PlanBuilder& plan, const pb::FileLock& lease, const pb::File& file, Place place) {
  plan.call(place.pid, SYS_fcntl, {place.fd, F_SETLEASE, lease.type()}, "lease on file");
  const bool owned = file.has_owner() && file.owner().pid() != 0;
  const bool broken = lease.broken_by_reader() || lease.broken_by_writer();
  if (owned && !broken) return;
  // Taking a lease makes its taker the owner where there is none.
  OpId fetched = plan.op(Op::Code::Fetch, kSelf, {place.pid, place.fd});
  const Operand fd = Operand::result(fetched);
  plan.call(kSelf, SYS_fcntl, {fd, F_SETOWN, 0}, "nobody gets a signal of file");
  if (lease.broken_by_reader()) plan_breach(plan, fd, O_RDONLY);
  if (lease.broken_by_writer()) plan_breach(plan, fd, O_WRONLY);
  if (broken)
    plan.call_expecting(kSelf, static_cast<std::uint64_t>(told_type(lease)), SYS_fcntl, {fd, F_GETLEASE, 0},
                        "the broken lease on file");
  if (owned) plan_owner(plan, file.owner(), fd);
  plan.call(kSelf, SYS_close, {fd});
}

// With its mapping.
bool is_taken(const Planning& planning, const pb::FileLock& lock) {
  auto it = planning.mapped_locks.lower_bound({lock.file_id(), false});
  return lock.kind() == pb::LOCK_FLOCK && it != planning.mapped_locks.end() &&
         it->first.first == lock.file_id();
}

}  // namespace

void find_mapped_locks(Planning& planning) {
  const Model& model = planning.model();
  if (model.files.locks().empty()) return;
  std::set<std::uint32_t> opened, written;
  for (const pb::FdTable& table : model.files.tables())
    for (const pb::FdEntry& entry : table.entries()) opened.insert(entry.file_id());
  for (const pb::AddressSpace& mm : model.memory.address_spaces())
    for (const pb::Vma& vma : mm.vmas())
      if (kinds::needs_write(vma)) written.insert(vma.file_id());
  for (const pb::FileLock& lock : model.files.locks())
    if (lock.kind() == pb::LOCK_FLOCK && !opened.contains(lock.file_id()))
      planning.mapped_locks[{lock.file_id(), written.contains(lock.file_id())}] = lock.type();
}

Result<void> plan_leases(Planning& planning) {
  if (planning.model().files.locks().empty()) return {};
  PlanBuilder& plan = planning.plan;
  const Holders holders(planning);
  plan.phase("leases", true);
  for (const pb::FileLock& lock : planning.model().files.locks()) {
    if (lock.kind() != pb::LOCK_LEASE) continue;
    TRY_ASSIGN(const Place place, holders.find(lock));
    plan.about(lock.file_id());
    plan_lease(plan, lock, *plan.index().file(lock.file_id()), place);
  }
  plan.about(0);
  return {};
}

Result<void> plan_locks(Planning& planning) {
  if (planning.model().files.locks().empty()) return {};
  PlanBuilder& plan = planning.plan;
  std::vector<const pb::FileLock*> locks;
  for (const pb::FileLock& lock : planning.model().files.locks())
    if (lock.kind() != pb::LOCK_LEASE && !is_taken(planning, lock)) locks.push_back(&lock);
  // The kernel's order is by owner, and by range within one.
  for (auto run = locks.begin(); run != locks.end();) {
    auto end =
        std::find_if_not(run, locks.end(), [&](const pb::FileLock* lock) { return one_owner(*lock, **run); });
    std::reverse(run, end);
    run = end;
  }
  const Holders holders(planning);
  plan.phase("locks");
  for (const pb::FileLock* lock : locks) {
    TRY_ASSIGN(const Place place, holders.find(*lock));
    plan.about(lock->file_id());
    if (lock->kind() == pb::LOCK_FLOCK)
      plan.call(place.pid, SYS_flock, {place.fd, (lock->type() == F_WRLCK ? LOCK_EX : LOCK_SH) | LOCK_NB},
                "lock on file");
    else
      plan_range(plan, *lock, place);
  }
  plan.about(0);
  return {};
}

}  // namespace bpfckpt::restore
