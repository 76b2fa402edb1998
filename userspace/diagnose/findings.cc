// SPDX-License-Identifier: Apache-2.0
#include "diagnose/findings.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_map>

#include "kinds/io_uring.h"
#include "kinds/marks.h"
#include "kinds/names.h"
#include "kinds/packet.h"
#include "kinds/procfs.h"
#include "kinds/tcp.h"
#include "model/details.h"
#include "model/obstacles.h"
#include "model/tracer.h"
#include "model/vm_flags.h"

namespace bpfckpt::diagnose {
namespace {

using kinds::Finding;
using kinds::Verdict;

std::string name_locks(const std::vector<const pb::FileLock*>& locks) {
  constexpr std::array<const char*, 4> kNames = {"POSIX", "of the description (OFD)", "by flock()", "lease"};
  std::array<std::size_t, kNames.size()> counts{};
  for (const pb::FileLock* lock : locks) counts[lock->kind()]++;
  std::string text;
  for (std::size_t i = 0; i < kNames.size(); i++)
    if (counts[i] != 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", counts[i], kNames[i]);
  return text;
}

Finding unsupported(std::string code, std::string reason) {
  return {Verdict::Unsupported, std::move(code), std::move(reason), ""};
}

class Finder {
 public:
  Finder(const Model& model, const DumpPolicy& policy, const Scope& scope)
      : model_(model), index_(model), policy_(policy), scope_(scope) {
    for (const pb::FileLock& lock : model.files.locks()) locks_[lock.file_id()].push_back(&lock);
    if (locks_.empty()) return;
    for (const pb::FdTable& table : model.files.tables())
      for (const pb::FdEntry& entry : table.entries()) opened_.insert(entry.file_id());
  }

  std::vector<Item> run() {
    for (const pb::Process& process : model_.tasks.processes()) {
      pid_ = process.pid();
      look_at_process(process);
      if (process.state() == pb::ZOMBIE) continue;
      for (const pb::Thread& thread : process.threads()) look_at_thread(process, thread);
      if (const auto* table = index_.fd_table(process.fd_table_id()); table && seen_.insert(table).second)
        for (const pb::FdEntry& entry : table->entries()) look_at_fd(entry, table->id());
      if (const auto* mm = index_.address_space(process.mm_id()); mm && seen_.insert(mm).second)
        look_at_memory(*mm);
    }
    look_at_files_in_flight();
    return std::move(items_);
  }

 private:
  bool wanted(const Finding& finding) const {
    return finding.verdict != Verdict::Ok || !scope_.unsupported_only ||
           (scope_.notes && !finding.reason.empty());
  }

  bool waits(const kinds::Kind& kind) const { return scope_.details_wait && kind.can_wait != nullptr; }

  void add(std::string subject, std::string name, std::string kind, Finding finding) {
    if (!wanted(finding)) return;
    items_.push_back({pid_, std::move(subject), std::move(name), std::move(kind), std::move(finding)});
  }
  void add_process(Finding finding) { add("process", "", "process", std::move(finding)); }

  void look_at_process(const pb::Process& process) {
    const pb::Process& root = model_.tasks.processes(0);
    if (process.threads_size() != 0) add("process", process.threads(0).comm(), "process", {});
    if (&process == &root && process.sid() != process.pid() && !policy_.shell_job)
      add_process({Verdict::NeedsOption, "session-outside",
                   fmt::format("its session leader {} is outside of the tree", process.sid()),
                   "--shell-job"});
    if (process.pid() == static_cast<std::uint32_t>(::getpid()))
      add_process(unsupported("bpfckpt", "it is this bpfckpt, which cannot stop itself"));
    for (const std::string& obstacle : process.obstacles()) {
      if (obstacle == kKernelThread)
        add_process(unsupported(obstacle, "it is a thread of the kernel"));
      else if (obstacle.starts_with(kForeignNamespaces))
        add_process(
            unsupported("namespaces", fmt::format("it lives in namespaces of its own ({}), which is not "
                                                  "supported yet",
                                                  obstacle.substr(kForeignNamespaces.size()))));
      else if (obstacle == kLandlockDomain)
        add_process(unsupported(obstacle,
                                "it is in a Landlock domain (landlock_restrict_self(2)), whose rules the "
                                "kernel tells nobody"));
      else if (obstacle.starts_with(kSecurityLabel))
        add_process(unsupported(
            "security-label",
            fmt::format("a security module knows it as '{}', which cannot be given to a restored process",
                        obstacle.substr(kSecurityLabel.size()))));
      else if (obstacle == kKeyring)
        add_process(
            unsupported(obstacle,
                        "it holds keys in a keyring of its thread or process (add_key(2)), whose numbers "
                        "cannot be given again"));
      else if (obstacle == kUringWithoutDescriptor)
        add_process(
            unsupported(obstacle,
                        "a thread uses an io_uring by its registered number only (IORING_REGISTER_RING_FDS), "
                        "and no process has a descriptor of it"));
      else
        add_process(unsupported(obstacle, fmt::format("it uses {}, which is not supported yet", obstacle)));
    }
    if (process.state() == pb::ZOMBIE) return;
    look_at_what_is_lost(process);
    look_at_sharing(process, process.mm_id(), &pb::Process::mm_id, "memory");
    look_at_sharing(process, process.fd_table_id(), &pb::Process::fd_table_id, "descriptors");
    look_at_sharing(process, process.fs_id(), &pb::Process::fs_id, "the working directory");
    if (const pb::FsContext* fs = index_.fs_context(process.fs_id()); fs != nullptr && fs->root().deleted())
      add_process(
          unsupported("root-removed", fmt::format("its root directory {} was removed", fs->root().path())));
  }

  // What hardly any program would miss.
  void look_at_what_is_lost(const pb::Process& process) {
    if (is_tracer_outside(model_, index_, process))
      add_process(
          {Verdict::Ok, "ptracer-outside",
           fmt::format(
               "it lets process {} outside of the tree trace it (PR_SET_PTRACER): not so any more when "
               "it is restored",
               process.ptracer()),
           ""});
    if (process.threads_size() == 0) return;
    const pb::Credentials* credentials = index_.credentials(process.threads(0).credentials_id());
    if (credentials != nullptr && credentials->own_session_keyring() && credentials->session_keys() != 0)
      add_process(
          {Verdict::Ok, "session-keyring",
           fmt::format("{} keys are in the keyring of its session, and not in that of a restored tree",
                       credentials->session_keys()),
           ""});
  }

  // What processes share is made by the fork itself, and so only between parent and child. Parents come
  // first.
  void look_at_sharing(const pb::Process& process, std::uint32_t id,
                       std::uint32_t (pb::Process::*field)() const, std::string_view what) {
    if (id == 0 || scope_.running) return;
    auto [first, fresh] = first_to_have_.try_emplace({what, id}, process.pid());
    const pb::Process* parent = index_.process(process.parent_pid());
    if (fresh || (parent != nullptr && parent->state() != pb::ZOMBIE && (parent->*field)() == id)) return;
    add_process(unsupported(
        kSharedWithSibling,
        fmt::format("it shares {} with process {}, but not with its parent", what, first->second)));
  }

  // They get it whenever the thread that made them ends, which happens once more at restore.
  bool has_children_with_pdeath(const pb::Process& process) const {
    return std::ranges::any_of(model_.tasks.processes(), [&](const pb::Process& child) {
      return child.parent_pid() == process.pid() &&
             std::ranges::any_of(child.threads(), [](const pb::Thread& t) { return t.pdeath_signal() != 0; });
    });
  }

  void look_at_thread(const pb::Process& process, const pb::Thread& thread) {
    bool leader = thread.tid() == process.pid();
    auto add_thread = [&](Finding finding) {
      add(leader ? "process" : fmt::format("thread {}", thread.tid()), leader ? "" : thread.comm(), "thread",
          std::move(finding));
    };
    if (!leader) add_thread({});
    if (thread.tracer_pid() != 0)
      add_thread(unsupported("traced", fmt::format("it is traced by pid {}", thread.tracer_pid())));
    for (const std::string& reason : thread.obstacles()) add_thread(unsupported("thread-state", reason));
    if (thread.exited() && is_confined(process))
      add_thread(
          unsupported("leader-exited", "the leader of a process under seccomp exited before its threads"));
    if (thread.exited() && has_children_with_pdeath(process))
      add_thread(unsupported("leader-exited",
                             "the leader exited before its threads, and has children that want a signal "
                             "when their parent ends (PR_SET_PDEATHSIG)"));
  }

  // bpfckpt holds the threads of a confined process by ptrace when the leader has to end.
  static bool is_confined(const pb::Process& process) {
    return std::ranges::any_of(process.threads(), [](const pb::Thread& t) { return t.seccomp_mode() != 0; });
  }

  void look_at_fd(const pb::FdEntry& entry, std::uint32_t table_id) {
    const pb::File* file = index_.file(entry.file_id());
    if (file == nullptr) return;
    const kinds::Kind* kind = kinds::find(file->kind());
    Finding finding;
    if (kinds::is_external_device(*file, policy_.external))
      finding = {Verdict::Ok, "external", "it stays behind; a restore opens it again, unless it is given it",
                 "--inherit-fd"};
    else if (kinds::is_external(*file, policy_.external))
      finding = {Verdict::Ok, "external", "it stays behind; a restore must be given it", "--inherit-fd"};
    else if (kind == nullptr)
      finding = unsupported("unsupported-file", "its kind is not known");
    else if (kind->diagnose != nullptr && !waits(*kind))
      finding = kind->diagnose(*file, index_.object(file->object_id()), policy_);
    // Most are neither told nor locked; nothing is put together for those.
    if (!wanted(finding) && !locks_.contains(file->id())) return;
    std::string subject = fmt::format("fd {}", entry.fd());
    look_at_locks(subject, *file, table_id);
    add(std::move(subject), kinds::describe_name(*file), file->kind(), std::move(finding));
  }

  // What is in flight in a socket's queue, and nobody has open.
  void look_at_files_in_flight() {
    std::vector<bool> reached(static_cast<std::size_t>(model_.files.files_size()) + 1);
    auto reach = [&](std::uint32_t id) {
      if (id < reached.size()) reached[id] = true;
    };
    for (const pb::FdTable& table : model_.files.tables())
      for (const pb::FdEntry& entry : table.entries()) reach(entry.file_id());
    for (const pb::AddressSpace& mm : model_.memory.address_spaces()) {
      reach(mm.exe_file_id());
      for (const pb::Vma& vma : mm.vmas()) reach(vma.file_id());
    }
    pid_ = model_.tasks.processes_size() == 0 ? 0 : model_.tasks.processes(0).pid();
    for (const pb::File& file : model_.files.files()) {
      if (file.id() >= reached.size() || reached[file.id()]) continue;
      const kinds::Kind* kind = kinds::find(file.kind());
      Finding finding;
      if (kind == nullptr)
        finding = unsupported("unsupported-file", "its kind is not known");
      else if (kind->connect != nullptr || kind->make_inside != nullptr ||
               kinds::find_watcher(kind->name) != nullptr || kinds::shows_descriptor(file) ||
               kinds::is_tied_to_descriptors(file) || kinds::has_packet_ring(file) ||
               locks_.contains(file.id()))
        finding = unsupported("in-flight", "it is in flight in a socket's queue, and no process has it open");
      else if (kind->diagnose != nullptr && !waits(*kind))
        finding = kind->diagnose(file, index_.object(file.object_id()), policy_);
      add("in flight", kinds::describe_name(file), file.kind(), std::move(finding));
    }
  }

  // Each lock once: with the first descriptor of its description or, of a POSIX lock, of its table. Table 0:
  // a mapping.
  void look_at_locks(const std::string& subject, const pb::File& file, std::uint32_t table_id) {
    auto it = locks_.find(file.id());
    if (it == locks_.end() || (table_id == 0 && opened_.contains(file.id()))) return;
    std::vector<const pb::FileLock*> locks;
    for (const pb::FileLock* lock : it->second)
      if ((lock->kind() != pb::LOCK_POSIX || lock->fd_table_id() == table_id) && seen_.insert(lock).second)
        locks.push_back(lock);
    if (locks.empty()) return;
    const std::string name = kinds::describe_name(file);
    auto add_lock = [&](Finding finding) { add(subject, name, file.kind(), std::move(finding)); };
    if (!policy_.file_locks)
      add_lock({Verdict::NeedsOption, "file-locks", fmt::format("file locks are held: {}", name_locks(locks)),
                "--file-locks"});
    // A flock() of such a description is taken with the mapping (restore/locks_plan.cc).
    if (table_id == 0 &&
        std::ranges::any_of(locks, [](const pb::FileLock* lock) { return lock->kind() != pb::LOCK_FLOCK; }))
      add_lock(unsupported("file-lock-mapped",
                           fmt::format("file locks are held by what only a mapping has open any more: {}",
                                       name_locks(locks))));
    for (const pb::FileLock* lock : locks) look_at_lock(*lock, add_lock);
  }

  template <class Add>
  void look_at_lock(const pb::FileLock& lock, const Add& add_lock) {
    // There may be many, and this is asked with the tree stopped.
    if (!lock.has_waiter() && lock.outside_holders() == 0 && !lock.delegation()) return;
    const std::string what = fmt::format("a lock ({})", name_locks({&lock}));
    if (lock.has_waiter())
      add_lock(unsupported(
          "file-lock-waiter",
          fmt::format("{} outside of the tree waits for {}",
                      lock.waiter_pid() != 0 ? fmt::format("pid {}", lock.waiter_pid()) : "a process",
                      what)));
    if (lock.outside_holders() != 0)
      add_lock(unsupported(
          "file-lock-shared",
          fmt::format("{} is shared with a process outside of the tree, which has the description too",
                      what)));
    if (lock.delegation()) add_lock(unsupported("file-delegation", "it has a delegation (F_SETDELEG)"));
  }

  void look_at_memory(const pb::AddressSpace& mm) {
    for (const pb::AioRing& ring : mm.aio_rings()) look_at_ring(mm, ring);
    for (const pb::Vma& vma : mm.vmas()) {
      Finding finding = look_at_vma(mm, vma);
      const pb::File* file = index_.file(vma.file_id());
      const bool locked = file != nullptr && locks_.contains(file->id());
      if (!wanted(finding) && !locked) continue;
      std::string subject = fmt::format("mapping {:x}-{:x}", vma.start(), vma.end());
      if (locked) look_at_locks(subject, *file, 0);
      add(std::move(subject), file != nullptr ? kinds::describe_name(*file) : vma.name(),
          file != nullptr ? file->kind() : "memory", std::move(finding));
    }
    if (const pb::File* exe = index_.file(mm.exe_file_id())) {
      const kinds::Kind* kind = kinds::find(exe->kind());
      if (kind != nullptr && kind->diagnose != nullptr)
        add("executable", kinds::describe_name(*exe), exe->kind(),
            kind->diagnose(*exe, index_.object(exe->object_id()), policy_));
    }
  }

  // Requests that are in flight are waited for when nobody can make new ones (dump/aio_rings.cc); but not
  // those which wait for something that may never happen.
  void look_at_ring(const pb::AddressSpace& mm, const pb::AioRing& ring) {
    std::string subject = fmt::format("AIO ring {:x}", ring.address());
    if (ring.polls() != 0)
      add(subject, "", "aio",
          unsupported("aio-poll",
                      fmt::format("{} poll requests (IOCB_CMD_POLL) are waiting in it", ring.polls())));
    bool mapped = std::ranges::any_of(
        mm.vmas(), [&](const pb::Vma& vma) { return is_ring_mapping(vma) && is_mapping_of(vma, ring); });
    if (!mapped)
      add(subject, "", "aio",
          unsupported("aio-unmapped", "the process unmapped, split or replaced the mapping of its AIO ring"));
  }

  bool is_ring_mapping(const pb::Vma& vma) const {
    const pb::File* file = index_.file(vma.file_id());
    return file != nullptr && file->kind() == "aio";
  }
  static bool is_mapping_of(const pb::Vma& vma, const pb::AioRing& ring) {
    return vma.start() == ring.address() && vma.end() - vma.start() == ring.size_bytes();
  }

  Finding look_at_vma(const pb::AddressSpace& mm, const pb::Vma& vma) {
    if (vma.kind() == pb::SPECIAL) return {};
    if (vma.memory_policy().mode() == UINT32_MAX)
      return unsupported("mempolicy", "its memory policy names NUMA nodes beyond the first 64");
    if (is_ring_mapping(vma) && std::ranges::none_of(mm.aio_rings(), [&](const pb::AioRing& ring) {
          return is_mapping_of(vma, ring);
        }))
      return unsupported(
          "aio-inherited",
          "it maps an AIO ring of another process (fork() leaves it to the child) or a part of one");
    if (vma.userfaultfd_file_id() != 0)
      if (Finding finding = look_at_watched(vma); finding.verdict != Verdict::Ok) return finding;
    if (const pb::File* ring = index_.file(vma.file_id()); ring != nullptr && ring->kind() == "io_uring")
      return kinds::look_at_uring_mapping(vma, *ring);
    if (const pb::File* ring = index_.file(vma.file_id()); ring != nullptr && ring->kind() == "packet")
      return kinds::look_at_packet_mapping(vma, *ring, has_descriptor(ring->id()));
    if (vma.flags() & (vm::kIo | vm::kPfnMap))
      return unsupported("device-memory", "it maps a device's memory");
    if ((vma.flags() & vm::kHugeTlb) && vma.kind() == pb::ANONYMOUS_PRIVATE)
      return unsupported("hugetlb-private", "private memory on huge pages (hugetlb) is not supported yet");
    if (const pb::File* file = index_.file(vma.file_id())) {
      const kinds::Kind* kind = kinds::find(file->kind());
      bool private_device = file->kind() == "chardev" && vma.kind() == pb::FILE_PRIVATE;  // /dev/zero
      if (file->kind() == "unsupported")
        return kind->diagnose(*file, index_.object(file->object_id()), policy_);
      if ((kind == nullptr || !kind->mappable) && !private_device)
        return unsupported("mapped-device", fmt::format("a mapping of a file of kind {}", file->kind()));
      if (kind != nullptr && kind->diagnose != nullptr)
        return kind->diagnose(*file, index_.object(file->object_id()), policy_);
    }
    return {};
  }

  bool has_descriptor(std::uint32_t file_id) const {
    return std::ranges::any_of(model_.files.tables(), [&](const pb::FdTable& table) {
      return std::ranges::any_of(table.entries(),
                                 [&](const pb::FdEntry& entry) { return entry.file_id() == file_id; });
    });
  }

  // kinds/userfaultfd.cc says what can be taken.
  Finding look_at_watched(const pb::Vma& vma) const {
    if (vma.userfaultfd_file_id() == kNobodysUserfaultfd)
      return unsupported("userfaultfd-outside",
                         "it is watched by a userfaultfd that no process of the tree has open");
    if (vma.kind() != pb::ANONYMOUS_PRIVATE)
      return unsupported(
          "userfaultfd-shared",
          "a userfaultfd watches memory that is not private and anonymous: which of its pages are "
          "in the page tables cannot be kept");
    if ((vma.flags() & vm::kLocked) && !(vma.flags() & vm::kLockOnFault))
      return unsupported("userfaultfd-locked",
                         "a userfaultfd watches locked memory: mlock(2) would fill in its missing pages");
    return {};
  }

  const Model& model_;
  ModelIndex index_;
  const DumpPolicy& policy_;
  const Scope& scope_;
  std::uint32_t pid_ = 0;
  std::set<const void*> seen_;
  std::map<std::pair<std::string_view, std::uint32_t>, std::uint32_t> first_to_have_;  // pid
  std::unordered_map<std::uint32_t, std::vector<const pb::FileLock*>> locks_;          // by file id
  std::set<std::uint32_t> opened_;  // files that somebody has a descriptor of; filled where there are locks
  std::vector<Item> items_;
};

}  // namespace

std::vector<Item> find(const Model& model, const DumpPolicy& policy, const Scope& scope) {
  return Finder(model, policy, scope).run();
}

Item about_process(std::uint32_t pid, std::string code, std::string reason) {
  return {pid, "process", "", "process", {Verdict::Unsupported, std::move(code), std::move(reason), ""}};
}

std::string to_line(const Item& item) {
  std::string line = fmt::format("pid {}", item.pid);
  if (item.subject != "process") line += ": " + item.subject;
  if (item.subject != "process" && !item.name.empty()) line += fmt::format(" ({})", item.name);
  line += ": " + item.finding.reason;
  if (!item.finding.hint.empty()) line += fmt::format(" ({} helps)", item.finding.hint);
  return line;
}

}  // namespace bpfckpt::diagnose
