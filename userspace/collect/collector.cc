// SPDX-License-Identifier: Apache-2.0
#include "collect/collector.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "collect/clocks.h"
#include "collect/in_flight.h"
#include "collect/labels.h"
#include "collect/peers.h"
#include "collect/programs.h"
#include "collect/reader.h"
#include "collect/restart.h"
#include "collect/snapshot.h"
#include "collect/task_marks.h"
#include "collect/walks.h"

namespace bpfckpt {

using collect::as;
using collect::Program;
using collect::Records;
using collect::Scope;

namespace {

constexpr std::size_t kPrepareBytes = 512 << 10;
constexpr std::array<clockid_t, 6> kClocks = {CLOCK_REALTIME, CLOCK_MONOTONIC,      CLOCK_BOOTTIME,
                                              CLOCK_TAI,      CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM};

TaskSummary to_summary(const summary_record& record) {
  return {.tid = record.tid,
          .tgid = record.tgid,
          .real_parent = record.real_parent,
          .tracer = record.tracer,
          .pgid = record.pgid,
          .sid = record.sid,
          .state = record.state,
          .exit_state = record.exit_state,
          .task_flags = record.task_flags,
          .signal_flags = record.signal_flags,
          .jobctl = record.jobctl,
          .comm = std::string(record.comm, ::strnlen(record.comm, sizeof(record.comm)))};
}

// Brings the threads of a process together, leader first, and drops who is not below `root`.
std::vector<TaskSummary> below(std::vector<TaskSummary> tasks, std::uint32_t root) {
  std::unordered_map<std::uint32_t, std::vector<TaskSummary*>> threads;
  std::unordered_map<std::uint32_t, std::vector<std::uint32_t>> children;
  for (TaskSummary& task : tasks) {
    auto& group = threads[task.tgid];
    if (task.tid == task.tgid) {
      children[task.real_parent].push_back(task.tgid);
      group.insert(group.begin(), &task);
    } else {
      group.push_back(&task);
    }
  }
  std::vector<TaskSummary> tree;
  std::vector<std::uint32_t> queue;
  std::unordered_set<std::uint32_t> seen;
  if (threads.contains(root)) queue.push_back(root);
  for (std::size_t i = 0; i < queue.size(); ++i) {
    if (!seen.insert(queue[i]).second) continue;
    for (TaskSummary* task : threads[queue[i]]) tree.push_back(std::move(*task));
    for (std::uint32_t child : children[queue[i]]) queue.push_back(child);
  }
  return tree;
}

}  // namespace

struct Collector::Impl {
  explicit Impl(collect::Programs loaded) : programs(std::move(loaded)) {}

  const collect::Programs programs;
  collect::Walkers walkers{programs};
  Fd list_link;
  Records spare;   // memory for the next collect()
  Records listed;  // of the last list(), for its memory
  collect::TaskMarks marks;
  bool landlock_sought = false;
  collect::Labels labels;

  Result<std::vector<TaskSummary>> list();
  Result<Records> collect(std::span<const pid_t> tgids, Tasks tasks, const collect::Snapshot* snapshot,
                          std::size_t in_full);
  Result<void> find_landlock_word(const Records& records);
};

Collector::Collector(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Collector::Collector(Collector&&) noexcept = default;
Collector& Collector::operator=(Collector&&) noexcept = default;
Collector::~Collector() = default;

bool Collector::from_cache() const {
  return impl_->programs.from_cache();
}

Result<Collector> Collector::open(const Options& options) {
  TRY_ASSIGN(collect::Programs programs, collect::Programs::open(options.use_cache));
  auto impl = std::make_unique<Impl>(std::move(programs));
  TRY_ASSIGN(impl->list_link, collect::make_link(impl->programs.fd(Program::ListTasks), Scope::everything()));
  TRY(impl->spare.prepare(kPrepareBytes));
  TRY_ASSIGN(impl->marks, collect::find_task_marks(impl->programs, impl->spare));
  impl->marks.own_label = impl->labels.own();
  impl->marks.apparmor = impl->labels.module() == kernel::LabelModule::AppArmor;
  return Collector(std::move(impl));
}

Result<std::vector<TaskSummary>> Collector::Impl::list() {
  listed.clear();
  TRY(collect::read_all(list_link.get(), listed));
  std::vector<TaskSummary> tasks;
  TRY(listed.for_each([&](const record_head& head) -> Result<void> {
    if (auto summary = as<summary_record>(head); summary && summary->tgid != 0)
      tasks.push_back(to_summary(*summary));
    return {};
  }));
  return tasks;
}

// Only where somebody's differ from ours: nearly everywhere, nobody's do. A dump looks at the running tree
// first, so that this is not for the frozen one.
Result<void> Collector::Impl::find_landlock_word(const Records& records) {
  bool differ = false;
  if (landlock_sought) return {};
  TRY(records.for_each([&](const record_head& head) -> Result<void> {
    auto cred = head.type == RECORD_CRED ? as<cred_record>(head) : nullptr;
    differ |= cred != nullptr && !std::ranges::equal(cred->security, marks.own_security);
    return {};
  }));
  if (!differ) return {};
  landlock_sought = true;
  TRY_ASSIGN(marks.landlock_word, collect::find_landlock_word(programs, marks.own_security));
  return {};
}

Result<std::vector<TaskSummary>> Collector::tree(pid_t root) {
  TRY_ASSIGN(auto tasks, impl_->list());
  auto tree = below(std::move(tasks), static_cast<std::uint32_t>(root));
  if (tree.empty()) return fail(Error::target_gone(fmt::format("pid {}: no such process", root)));
  return tree;
}

Result<std::vector<TaskSummary>> Collector::all() {
  TRY_ASSIGN(auto tasks, impl_->list());
  std::erase_if(tasks, [](const TaskSummary& task) { return task.kernel_thread(); });
  return tasks;
}

namespace {

// One run of collect(): what was seen so far, so that what processes share is read once.
class Reading {
 public:
  // `snapshot`: what it has is taken from there, and the rest read; null: all is read.
  Reading(const collect::Programs& programs, collect::Walkers& walkers, Records& records,
          const collect::Snapshot* snapshot)
      : programs_(programs), walkers_(walkers), records_(records), snapshot_(snapshot) {}

  // In full, or with the outline of its mappings only, where there is a snapshot.
  Result<void> process(pid_t tgid, bool in_full);
  // When all processes are read: the lists that their files have, and the files that are in those only.
  Result<void> lists();

 private:
  // What the task records of one process say about the other passes.
  struct Group {
    pid_t tgid = 0;
    bool timers = false;
    std::uint64_t mm = 0;
    pid_t mm_tid = 0;  // who has it: the leader, where it lives
    bool leader_has_files = false;
    std::unordered_set<std::uint64_t> tables;  // files_struct
  };

  // How many bytes of records came.
  Result<std::size_t> pass(Program program, pid_t tgid, Scope scope) {
    const std::size_t before = records_.size_bytes();
    if (snapshot_ != nullptr && collect::Snapshot::has(program)) {
      TRY(snapshot_->append(program, tgid, records_));
    } else {
      TRY_ASSIGN(const Fd link, collect::make_link(programs_.fd(program), scope));
      TRY(collect::read_all(link.get(), records_));
    }
    return records_.size_bytes() - before;
  }
  // The same once more, by a pass over all tasks, in place of the records from there on.
  Result<void> pass_over_all(Program program, pid_t tgid, std::size_t from_bytes);
  Result<Group> tasks(pid_t tgid);
  Result<void> files(const Group& group);
  Result<void> mappings(const Group& group, bool in_full);
  Result<void> visible_files(pid_t tgid, std::size_t from_bytes);
  void sample_clocks(const record_head& head);
  // Notes which lists the records from there on have.
  Result<void> walk_from(std::size_t from_bytes) {
    return records_.for_each_from(from_bytes, [&](const record_head& head) -> Result<void> {
      walks_.add(head);
      return {};
    });
  }

  const collect::Programs& programs_;
  collect::Walkers& walkers_;
  Records& records_;
  const collect::Snapshot* const snapshot_;
  std::unordered_set<std::uint64_t> tables_seen_;
  std::unordered_set<std::uint64_t> spaces_seen_;
  std::vector<collect::MachinePass> passes_over_all_;  // most trees need none
  collect::Walks walks_;
};

// In a pass over one process kernels before 6.7 leave out the thread behind one that has the leader's table,
// or that has none as the leader (kernel/bpf/task_iter.c:task_group_seq_get_next() asked the wrong one for
// it).
Result<void> Reading::pass_over_all(Program program, pid_t tgid, std::size_t from_bytes) {
  if (snapshot_ != nullptr) return {};  // it is of such a pass
  records_.truncate(from_bytes);
  auto all = std::ranges::find(passes_over_all_, program, &collect::MachinePass::program);
  if (all == passes_over_all_.end()) {
    TRY_ASSIGN(collect::MachinePass pass, collect::MachinePass::take(programs_, program));
    all = passes_over_all_.insert(all, std::move(pass));
  }
  return all->append(tgid, records_);
}

// CPU time goes on only while a task runs, but the clocks are gone with the tasks: they are read now.
void Reading::sample_clocks(const record_head& head) {
  if (auto process = as<process_record>(head); process && head.type == RECORD_PROCESS) {
    if (process->itimer_prof.value_ns != 0)
      records_.add_clock(collect::cpu_clock(process->tgid, collect::kCpuProf));
    if (process->itimer_virtual.value_ns != 0)
      records_.add_clock(collect::cpu_clock(process->tgid, collect::kCpuVirt));
  }
  if (auto task = as<task_record>(head); task && head.type == RECORD_TASK)
    if (auto restart = collect::interrupted_call(*task); restart && collect::is_cpu_clock(restart->clock))
      records_.add_clock(collect::sleep_clock(*task, restart->clock));
  if (auto timer = as<timer_record>(head); timer && head.type == RECORD_TIMER)
    if (timer->cpu_pid != 0) records_.add_clock(collect::timer_clock(*timer));
}

Result<Reading::Group> Reading::tasks(pid_t tgid) {
  Group group{.tgid = tgid};
  const std::size_t before = records_.size_bytes();
  TRY_ASSIGN(const std::size_t read, pass(Program::DumpTasks, tgid, Scope::process(tgid)));
  if (read == 0) return fail(Error::target_gone("no such process"));
  TRY(records_.for_each_from(before, [&](const record_head& head) -> Result<void> {
    sample_clocks(head);
    if (auto process = as<process_record>(head); process && head.type == RECORD_PROCESS)
      group.timers = process->timers != 0;
    if (head.type != RECORD_TASK) return {};
    auto task = as<task_record>(head);
    if (!task) return fail(Error::bug("a short task record"));
    if (task->mm != 0 && group.mm == 0) {
      group.mm = task->mm;
      group.mm_tid = static_cast<pid_t>(task->tid);
    }
    if (task->files == 0) return {};
    group.tables.insert(task->files);
    group.leader_has_files |= (task->flags & TASK_LEADER) != 0;
    return {};
  }));
  return group;
}

Result<void> Reading::files(const Group& group) {
  bool fresh = false;
  for (const std::uint64_t table : group.tables) fresh |= tables_seen_.insert(table).second;
  if (!fresh) return {};
  const std::size_t before = records_.size_bytes();
  // By the leader alone where it has the only table; else by every thread that has another one than the
  // leader.
  if (group.leader_has_files && group.tables.size() == 1) {
    TRY(pass(Program::DumpFiles, group.tgid, Scope::thread(group.tgid)));
  } else {
    TRY(pass(Program::DumpFiles, group.tgid, Scope::process(group.tgid)));
    std::unordered_set<std::uint64_t> left = group.tables;
    TRY(records_.for_each_from(before, [&](const record_head& head) -> Result<void> {
      if (auto file = as<file_record>(head); file && head.type == RECORD_FILE) left.erase(file->table);
      return {};
    }));
    if (!left.empty()) TRY(pass_over_all(Program::DumpFiles, group.tgid, before));
  }
  return walk_from(before);
}

Result<void> Reading::mappings(const Group& group, bool in_full) {
  if (group.mm == 0 || !spaces_seen_.insert(group.mm).second) return {};
  const std::size_t before = records_.size_bytes();
  if (snapshot_ != nullptr && !in_full) {
    TRY(snapshot_->append_outline(group.tgid, records_));
    TRY(walk_from(before));
    return visible_files(group.mm_tid, before);
  }
  // By process: to_model() drops what threads with another descriptor table repeat. A thread's scope would
  // never end: task_vma_seq_get_next() leaves `tid` where it is and starts again from the last buffer's
  // border.
  TRY_ASSIGN(const std::size_t read, pass(Program::DumpVmas, group.tgid, Scope::process(group.tgid)));
  if (read == 0 && group.mm_tid != group.tgid) TRY(pass_over_all(Program::DumpVmas, group.tgid, before));
  TRY(walk_from(before));
  return visible_files(group.mm_tid, before);
}

// On overlayfs a mapping's file is the one underneath; only map_files leads to the one that was mapped. (6.18
// and before show it in no structure that bpf_d_path() would take.)
Result<void> Reading::visible_files(pid_t tgid, std::size_t from_bytes) {
  const vma_record* vma = nullptr;
  return records_.for_each_from(from_bytes, [&](const record_head& head) -> Result<void> {
    if (head.type == RECORD_VMA) vma = as<vma_record>(head);
    auto file = head.type == RECORD_FILE ? as<file_record>(head) : nullptr;
    if (!file || !vma || (file->flags & FILE_BACKING) == 0 || records_.visible_file(file->file)) return {};
    const std::string link = fmt::format("/proc/{}/map_files/{:x}-{:x}", tgid, vma->start, vma->end);
    Records::VisibleFile visible;
    visible.path.resize(PATH_MAX);
    const ssize_t len = ::readlink(link.c_str(), visible.path.data(), visible.path.size());
    if (len < 0 || ::stat(link.c_str(), &visible.facts) != 0) {
      if (records_.of_running()) return {};  // unmapped since, or the process is gone
      return fail(Error::system(link));
    }
    visible.path.resize(static_cast<std::size_t>(len));
    records_.add_visible_file(file->file, std::move(visible));
    return {};
  });
}

Result<void> Reading::lists() {
  collect::InFlight in_flight(programs_, records_);
  for (std::size_t before = records_.size_bytes(); walks_.waiting(); before = records_.size_bytes()) {
    TRY(walks_.read(walkers_, records_));
    // Nothing may be done to the sockets of a tree that runs.
    if (!records_.of_running()) TRY(in_flight.take(before), "files in flight");
    TRY(walk_from(before));
  }
  if (!records_.of_running()) return {};
  std::optional<collect::UnixEnds> ends;
  TRY(collect::find_peers(records_,
                          [&]() -> Result<const collect::UnixEnds*> {
                            if (snapshot_ != nullptr) return &snapshot_->unix_ends();
                            TRY_ASSIGN(ends, collect::UnixEnds::read(programs_));
                            return &*ends;
                          }),
      "peers of sockets");
  return {};
}

Result<void> Reading::process(pid_t tgid, bool in_full) {
  TRY_ASSIGN(const Group group, tasks(tgid));
  if (group.timers) {
    const std::size_t before = records_.size_bytes();
    TRY(pass(Program::DumpTimers, tgid, Scope::thread(tgid)));
    TRY(records_.for_each_from(before, [&](const record_head& head) -> Result<void> {
      sample_clocks(head);
      return {};
    }));
  }
  TRY(files(group));
  return mappings(group, in_full);
}

}  // namespace

Result<Records> Collector::Impl::collect(std::span<const pid_t> tgids, Tasks tasks,
                                         const collect::Snapshot* snapshot, std::size_t in_full) {
  Records records = std::exchange(spare, Records{});
  if (tasks == Tasks::Running) records.set_of_running();
  for (clockid_t clock : kClocks) records.add_clock(clock);
  Reading reading(programs, walkers, records, snapshot);
  for (std::size_t i = 0; i < tgids.size(); i++) {
    const pid_t tgid = tgids[i];
    auto read = reading.process(tgid, i < in_full);
    if (read || (records.of_running() && read.error().code() == Error::Code::TargetGone)) continue;
    return fail(std::move(read.error()).in(fmt::format("pid {}", tgid)));
  }
  TRY(reading.lists(), "lists of files");
  TRY(find_landlock_word(records));
  TRY(labels.read(records, marks.own_security));
  records.set_marks(marks);
  return records;
}

Result<Records> Collector::collect(std::span<const pid_t> tgids, Tasks tasks) {
  return impl_->collect(tgids, tasks, nullptr, tgids.size());
}

Result<collect::Snapshot> Collector::snapshot() {
  return collect::Snapshot::take(impl_->programs);
}

Result<Records> Collector::collect(std::span<const pid_t> tgids, const collect::Snapshot& snapshot,
                                   std::size_t in_full) {
  return impl_->collect(tgids, Tasks::Running, &snapshot, in_full);
}

void Collector::recycle(Records records) {
  records.clear();
  if (records.capacity_bytes() > impl_->spare.capacity_bytes()) impl_->spare = std::move(records);
}

Result<std::vector<SpecialMapping>> Collector::own_special_mappings() {
  Records records = std::exchange(impl_->spare, Records{});
  TRY_ASSIGN(const Fd link,
             collect::make_link(impl_->programs.fd(Program::DumpVmas), Scope::process(::getpid())));
  TRY(collect::read_all(link.get(), records));
  std::vector<SpecialMapping> mappings;
  TRY(records.for_each([&](const record_head& head) -> Result<void> {
    auto vma = head.type == RECORD_VMA ? as<vma_record>(head) : nullptr;
    if (vma && (vma->flags & VMA_SPECIAL) != 0)
      mappings.push_back({std::string(collect::name_string(*vma)), vma->start, vma->end});
    return {};
  }));
  recycle(std::move(records));
  return mappings;
}

}  // namespace bpfckpt
