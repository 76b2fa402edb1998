// SPDX-License-Identifier: Apache-2.0
// Processes, threads, and what they share.
#include <fmt/format.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <deque>

#include "collect/builder.h"
#include "collect/clocks.h"
#include "collect/restart.h"
#include "model/details.h"
#include "model/obstacles.h"

namespace bpfckpt::collect {
namespace {

constexpr std::uint32_t kSignalStopStopped = 1;      // include/linux/sched/signal.h: SIGNAL_STOP_STOPPED
constexpr std::uint32_t kSignalGroupExit = 4;        // SIGNAL_GROUP_EXIT
constexpr std::uint64_t kJobctlStopSignal = 0xffff;  // include/linux/sched/jobctl.h: JOBCTL_STOP_SIGMASK
constexpr std::uint64_t kSaImmutable = 0x00800000;  // include/linux/signal_types.h: a fatal signal was forced
constexpr std::uint32_t kPfMceProcess = 0x80;       // include/linux/sched.h: PF_MCE_PROCESS
constexpr std::uint32_t kPfMceEarly = 0x08000000;   // PF_MCE_EARLY
constexpr std::uint32_t kPfKthread = 0x00200000;    // PF_KTHREAD
// kernel/sys.c: PR_IO_FLUSHER, PF_MEMALLOC_NOIO | PF_LOCAL_THROTTLE
constexpr std::uint32_t kPrIoFlusher = 0x00080000 | 0x00100000;
constexpr int kNice0 = 120;  // static_prio of nice 0

// include/uapi/linux/sched.h: SCHED_FLAG_RECLAIM, SCHED_FLAG_DL_OVERRUN
constexpr std::uint32_t kReclaim = 2;
constexpr std::uint32_t kDeadlineOverrun = 4;

// linux/prctl.h, PR_SPEC_*, of a pair of PFA_* bits (include/linux/sched.h).
std::uint32_t speculation(std::uint64_t flags, int disable, int force_disable, int noexec) {
  auto is_set = [flags](int bit) { return bit != 0 && (flags >> bit & 1) != 0; };
  if (is_set(force_disable)) return 8;
  if (is_set(noexec)) return 16;
  return is_set(disable) ? 4 : 0;
}

bool is_leader(const task_record* task) {
  return (task->flags & TASK_LEADER) != 0;
}

bool exited(const task_record& task) {
  return task.exit_state != 0;
}

template <class Field>
void set_levels(const task_record& task, Field* levels) {
  const std::uint32_t count = std::min<std::uint32_t>(task.ns_level + 1, RECORD_NS_LEVELS);
  for (std::uint32_t i = 0; i < count; ++i) levels->Add(task.ns_tid[i]);
}

pb::Scheduling to_scheduling(const task_record& task) {
  pb::Scheduling scheduling;
  scheduling.set_policy(task.policy);
  scheduling.set_nice(task.static_prio - kNice0);
  scheduling.set_rt_priority(task.rt_priority);
  const auto mask = trailing(task);
  scheduling.set_affinity(mask.data(), std::min<std::size_t>(task.cpu_bytes, mask.size()));
  scheduling.set_deadline_runtime_ns(task.dl_runtime_ns);
  scheduling.set_deadline_deadline_ns(task.dl_deadline_ns);
  scheduling.set_deadline_period_ns(task.dl_period_ns);
  scheduling.set_deadline_flags(task.dl_flags & (kReclaim | kDeadlineOverrun));
  scheduling.set_slice_ns(task.slice_ns);
  if ((task.flags & TASK_UTIL_MIN) != 0) scheduling.set_util_min(task.util_min);
  if ((task.flags & TASK_UTIL_MAX) != 0) scheduling.set_util_max(task.util_max);
  scheduling.set_reset_on_fork((task.flags & TASK_RESET_ON_FORK) != 0);
  return scheduling;
}

}  // namespace

bool Builder::Group::complete() const {
  return process != nullptr && std::ranges::any_of(threads, is_leader);
}

void Builder::fill_thread(const task_record& task, pb::Thread& thread) {
  thread.set_tid(task.tid);
  set_levels(task, thread.mutable_ns_tid());
  thread.set_comm(printable({task.comm, ::strnlen(task.comm, sizeof task.comm)}));
  thread.set_blocked((task.flags & TASK_SAVED_SIGMASK) != 0 ? task.saved_sigmask : task.blocked);
  thread.mutable_sigaltstack()->set_sp(task.altstack_sp);
  thread.mutable_sigaltstack()->set_size(task.altstack_size);
  thread.mutable_sigaltstack()->set_flags(task.altstack_flags);
  thread.set_robust_list(task.robust_list);
  if (task.robust_list != 0)
    thread.set_robust_list_len(24);  // sizeof(struct robust_list_head): the only length taken
  thread.set_clear_child_tid(task.clear_child_tid);
  if (task.rseq != 0) {
    thread.mutable_rseq()->set_address(task.rseq);
    thread.mutable_rseq()->set_len(task.rseq_len);
    thread.mutable_rseq()->set_signature(task.rseq_sig);
  }
  thread.set_credentials_id(credentials_ids_.intern(task.cred).id);
  thread.set_no_new_privs((task.flags & TASK_NO_NEW_PRIVS) != 0);
  thread.set_pdeath_signal(task.pdeath_signal);
  thread.set_personality(task.personality);
  *thread.mutable_scheduling() = to_scheduling(task);
  thread.set_timer_slack_ns(task.timer_slack_ns);
  thread.set_seccomp_mode(task.seccomp_mode);
  if ((task.flags & TASK_SECCOMP_NOTIFY) != 0)
    thread.add_obstacles("its seccomp filter asks a listener, which is not supported");
  thread.set_store_bypass(speculation(task.atomic_flags, 3, 4, 7));
  thread.set_indirect_branch(speculation(task.atomic_flags, 5, 6, 0));
  if ((task.task_flags & kPfMceProcess) != 0)
    thread.set_machine_check((task.task_flags & kPfMceEarly) != 0 ? PR_MCE_KILL_EARLY + 1
                                                                  : PR_MCE_KILL_LATE + 1);
  thread.set_no_tsc((task.thread_flags & records_.marks().no_tsc) != 0);
  thread.set_no_cpuid((task.thread_flags & records_.marks().no_cpuid) != 0);
  thread.set_io_flusher((task.task_flags & kPrIoFlusher) == kPrIoFlusher);
  thread.set_exited(exited(task));
  thread.set_io_priority(task.io_priority);
  if (task.memory_policy.more_nodes != 0)
    thread.add_obstacles("its memory policy names NUMA nodes beyond the first 64");
  else if (task.memory_policy.present != 0)
    *thread.mutable_memory_policy() = to_memory_policy(task.memory_policy);
  if (task.tracer != own_pid_) thread.set_tracer_pid(task.tracer);
  if (const auto restart = interrupted_call(task)) {
    auto& block = *thread.mutable_restart();
    block.set_call(restart->call);
    for (std::uint64_t argument : restart->args) block.add_args(argument);
    block.set_clock(static_cast<std::uint32_t>(restart->clock));
    block.set_remaining_ns(
        restart->timeless ? -1 : remaining_ns(sleep_clock(task, restart->clock), restart->expires_ns));
  }
}

void Builder::fill_state(const Group& group, pb::Process& process) const {
  const task_record& leader = *group.threads.front();
  const bool all_gone =
      std::ranges::all_of(group.threads, [](const task_record* task) { return exited(*task); });
  if (all_gone) {
    process.set_state(pb::ZOMBIE);
    // kernel/exit.c:wait_task_zombie()
    const bool group_exit = (group.process->signal_flags & kSignalGroupExit) != 0;
    process.set_exit_code(group_exit ? static_cast<std::uint32_t>(group.process->group_exit_code)
                                     : leader.exit_code);
  } else if ((group.process->signal_flags & kSignalStopStopped) != 0) {
    process.set_state(pb::STOPPED);
    const auto signal = static_cast<std::uint32_t>(leader.jobctl & kJobctlStopSignal);
    process.set_stop_signal(signal != 0 ? signal : SIGSTOP);
  }
  if (!all_gone && exited(leader)) process.set_exit_code(leader.exit_code);
  // -1 is that of a thread, which a leader never is
  process.set_exit_signal(leader.exit_signal > 0 ? static_cast<std::uint32_t>(leader.exit_signal) : 0);
}

void Builder::fill_sigactions(const Group& group, pb::Process& process) const {
  if (group.sighand == nullptr) return;
  std::uint32_t signal = 0;
  for (const sigaction_part& action : group.sighand->actions) {
    ++signal;
    const std::uint64_t flags = action.flags & ~kSaImmutable;
    if (action.handler == 0 && flags == 0 && action.mask == 0) continue;
    pb::SigAction& message = *process.add_sigactions();
    message.set_signal(signal);
    message.set_handler(action.handler);
    message.set_flags(flags);
    message.set_restorer(action.restorer);
    message.set_mask(action.mask);
  }
}

void Builder::fill_timers(const Group& group, pb::Process& process) const {
  auto itimer = [this](const itimer_part& part, clockid_t clock, pb::Itimer& timer) {
    if (part.value_ns != 0)
      timer.set_value_ns(
          static_cast<std::uint64_t>(std::max<std::int64_t>(1, remaining_ns(clock, part.value_ns))));
    timer.set_interval_ns(part.interval_ns);
  };
  const process_record& record = *group.process;
  itimer(record.itimer_real, CLOCK_MONOTONIC, *process.mutable_itimer_real());
  itimer(record.itimer_virtual, cpu_clock(record.tgid, kCpuVirt), *process.mutable_itimer_virtual());
  itimer(record.itimer_prof, cpu_clock(record.tgid, kCpuProf), *process.mutable_itimer_prof());
  for (const timer_record* timer : group.timers) {
    pb::PosixTimer& message = *process.add_posix_timers();
    message.set_id(timer->id);
    message.set_clock(timer->clock);
    message.set_notify(timer->notify);
    message.set_signal(timer->signal_number);
    message.set_sigev_value(timer->sigev_value);
    message.set_notify_tid(timer->notify_tid);
    message.set_interval_ns(timer->interval_ns);
    message.set_overrun(timer->overrun);
    if (timer->expires_ns == 0) continue;
    const std::int64_t left_ns = remaining_ns(timer_clock(*timer), timer->expires_ns);
    message.set_value_ns(static_cast<std::uint64_t>(std::max<std::int64_t>(1, left_ns)));
  }
}

// Those of any thread that are not bpfckpt's own, where it would put the process back.
std::string Builder::foreign_namespaces(const Group& group) const {
  struct Kind {
    const char* name;
    std::uint32_t ns_part::* inode;
  };
  constexpr Kind kKinds[] = {
      {"mnt", &ns_part::mount},
      {"uts", &ns_part::uts},
      {"ipc", &ns_part::ipc},
      {"net", &ns_part::net},
      {"pid", &ns_part::pid},
      {"pid_for_children", &ns_part::pid_for_children},
      {"user", &ns_part::user},
      {"time", &ns_part::time},
      {"time_for_children", &ns_part::time_for_children},
      {"cgroup", &ns_part::cgroup},
  };
  std::string names;
  for (const Kind& kind : kKinds) {
    const std::uint32_t own = records_.marks().own_namespaces.*kind.inode;
    const bool foreign = std::ranges::any_of(group.threads, [&](const task_record* task) {
      return task->ns.mount != 0 && task->ns.*kind.inode != own;  // 0: it has exited
    });
    if (foreign) names += (names.empty() ? "" : ", ") + std::string(kind.name);
  }
  return names;
}

void Builder::fill_obstacles(const Group& group, pb::Process& process) {
  std::uint32_t flags = 0;
  bool groups = false, landlock = false, keys = false;
  std::string label;
  for (const task_record* task : group.threads) {
    flags |= task->flags;
    groups |= too_many_groups_.contains(task->cred);
    landlock |= in_landlock_domain_.contains(task->cred);
    if (auto it = labels_not_kept_.find(task->cred); it != labels_not_kept_.end() && !exited(*task))
      label = it->second;
    if (with_keys_.contains(task->cred) && !exited(*task)) keys = true;
  }
  if ((group.threads.front()->task_flags & kPfKthread) != 0) process.add_obstacles(kKernelThread);
  if (const std::string names = foreign_namespaces(group); !names.empty())
    process.add_obstacles(std::string(kForeignNamespaces) + names);
  if (groups) process.add_obstacles("more-groups-than-can-be-read");
  if (landlock) process.add_obstacles(kLandlockDomain);
  if (!label.empty()) process.add_obstacles(std::string(kSecurityLabel) + label);
  if (keys) process.add_obstacles(kKeyring);
  if ((flags & TASK_CORE_COOKIE) != 0) process.add_obstacles("core-scheduling");
  if ((flags & TASK_SHADOW_STACK) != 0) process.add_obstacles("shadow-stack");
  if (group.mm != nullptr && (group.mm->flags & MM_TAGGED) != 0) process.add_obstacles("tagged-addresses");
  if ((flags & TASK_COMPAT) != 0) process.add_obstacles("32-bit-mode");
  if ((flags & TASK_SEGMENTS) != 0) process.add_obstacles("thread-local-segments");
  if ((flags & TASK_IO_PORTS) != 0) process.add_obstacles("io-ports");
  if (group.mm != nullptr && (group.mm->flags & MM_LDT) != 0) process.add_obstacles("local-descriptor-table");
  if ((flags & TASK_SEMUNDO) != 0) process.add_obstacles("sysv-sem-undo");
  if ((flags & TASK_USER_DISPATCH) != 0) process.add_obstacles("syscall-user-dispatch");
  if (group.mm != nullptr && (group.mm->flags & MM_MANY_AIO) != 0)
    process.add_obstacles("more-aio-rings-than-can-be-read");
  // Of a running tree some can have gone between one reading and the other.
  if (group.process->timers > (records_.of_running() ? std::size_t{RECORD_TIMERS} : group.timers.size()))
    process.add_obstacles("more-posix-timers-than-can-be-read");
}

std::uint32_t Builder::namespaces_id(const ns_part& ns) {
  if (ns.mount == 0) return 0;  // a zombie has let go of them
  const std::string key(reinterpret_cast<const char*>(&ns), sizeof ns);
  auto [it, fresh] = namespace_ids_.try_emplace(key, static_cast<std::uint32_t>(namespace_ids_.size() + 1));
  if (fresh) {
    pb::Namespaces& message = *model_.tasks.add_namespaces();
    message.set_id(it->second);
    message.set_mount(ns.mount);
    message.set_uts(ns.uts);
    message.set_ipc(ns.ipc);
    message.set_net(ns.net);
    message.set_pid(ns.pid);
    message.set_pid_for_children(ns.pid_for_children);
    message.set_user(ns.user);
    message.set_cgroup(ns.cgroup);
    message.set_time(ns.time);
  }
  return it->second;
}

// AppArmor's is asked for again at the end of a restore; of others a restored process has bpfckpt's.
void Builder::add_label(const cred_record& record, pb::Credentials& message) {
  const Records::Label* label = records_.label(record.cred);
  if (label == nullptr) return;
  message.set_security_label(printable(label->text));
  const TaskMarks& marks = records_.marks();
  if (!label->more.empty())
    labels_not_kept_[record.cred] = printable(fmt::format("{}; {}", label->text, label->more));
  else if (!marks.apparmor && label->text != marks.own_label)
    labels_not_kept_[record.cred] = message.security_label();
}

void Builder::add_credentials(const cred_record& record) {
  const std::uint32_t id = credentials_ids_.intern(record.cred).id;
  if (id == 0 || !credentials_added_.insert(id).second) return;
  pb::Credentials& message = *model_.tasks.add_credentials();
  message.set_id(id);
  message.set_ruid(record.ruid);
  message.set_euid(record.euid);
  message.set_suid(record.suid);
  message.set_fsuid(record.fsuid);
  message.set_rgid(record.rgid);
  message.set_egid(record.egid);
  message.set_sgid(record.sgid);
  message.set_fsgid(record.fsgid);
  message.set_cap_inheritable(record.cap_inheritable);
  message.set_cap_permitted(record.cap_permitted);
  message.set_cap_effective(record.cap_effective);
  message.set_cap_bounding(record.cap_bounding);
  message.set_cap_ambient(record.cap_ambient);
  message.set_securebits(record.securebits);
  // A domain that is ours, too, is inherited by what we restore.
  if (const int word = records_.marks().landlock_word;
      word >= 0 && record.security[word] != records_.marks().own_security[static_cast<std::size_t>(word)])
    in_landlock_domain_.insert(record.cred);
  add_label(record, message);
  if (record.own_keys != 0) with_keys_.insert(record.cred);
  if (record.session_keyring != records_.marks().own_session_keyring) {
    message.set_own_session_keyring(true);
    message.set_session_keys(record.session_keys);
  }
  const auto bytes = trailing(record);
  if (record.groups * sizeof(std::uint32_t) > bytes.size()) {
    too_many_groups_.insert(record.cred);
    return;
  }
  for (std::uint32_t i = 0; i < record.groups; ++i) {
    std::uint32_t group;
    std::memcpy(&group, bytes.data() + i * sizeof group, sizeof group);
    message.add_groups(group);
  }
}

void Builder::add_fs_context(const fs_record& record) {
  const auto [id, fresh] = fs_ids_.intern(record.fs);
  if (id == 0 || !fs_added_.insert(id).second) return;
  pb::FsContext& message = *model_.tasks.add_fs_contexts();
  message.set_id(id);
  message.set_umask(record.umask);
  const auto bytes = trailing(record);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  auto string = [&](std::size_t at, const path_part& part) {
    return part.length == 0 || at + part.length > text.size() ? std::string_view{}
                                                              : text.substr(at, part.length - 1);
  };
  *message.mutable_cwd() = to_path(record.cwd, string(0, record.cwd));
  *message.mutable_root() = to_path(record.root, string((record.cwd.length + 7) / 8 * 8, record.root));
}

void Builder::fill_process(std::uint32_t tgid, const Group& group, pb::Process& process) {
  const process_record& record = *group.process;
  const task_record& leader = *group.threads.front();
  // A leader that exited before its threads has let go of what the others still hold.
  const task_record* living = &leader;
  for (const task_record* task : group.threads)
    if (exited(*living) && !exited(*task)) living = task;
  process.set_pid(tgid);
  process.set_parent_pid(group.parent);
  set_levels(leader, process.mutable_ns_pid());
  process.set_pgid(record.pgid);
  process.set_sid(record.sid);
  process.set_mm_id(mm_ids_.intern(living->mm).id);
  process.set_fd_table_id(table_ids_.intern(living->files).id);
  process.set_fs_id(fs_ids_.intern(living->fs).id);
  process.set_sighand_id(sighand_ids_.intern(living->sighand).id);
  for (const auto& limit : record.rlimits) {
    pb::Rlimit& message = *process.add_rlimits();
    message.set_soft(limit.soft);
    message.set_hard(limit.hard);
  }
  process.set_child_subreaper((record.flags & PROCESS_SUBREAPER) != 0);
  process.set_oom_score_adj(record.oom_score_adj);
  process.set_ptracer(record.ptracer);
  process.set_namespaces_id(namespaces_id(living->ns));
  if (record.cgroup_len > 1)
    process.set_cgroup(std::string(reinterpret_cast<const char*>(&record + 1), record.cgroup_len - 1));
  if (record.tty.driver_major != 0) {
    const std::uint32_t minor = record.tty.minor_start + record.tty.index;
    process.set_controlling_tty_index(record.tty.index + 1);
    process.set_controlling_tty_pgrp(record.tty.pgrp);
    process.set_controlling_tty_device((minor & 0xff) | (record.tty.driver_major << 8) |
                                       ((minor & ~0xffu) << 12));
  }
  if (group.mm != nullptr) process.set_membarrier_state(group.mm->membarrier_state);
  fill_state(group, process);
  if (process.state() != pb::ZOMBIE) fill_sigactions(group, process);
  fill_timers(group, process);
  fill_obstacles(group, process);
  for (const task_record* task : group.threads) fill_thread(*task, *process.add_threads());
}

// Breadth first from the root, so that every parent comes before its children.
Result<void> Builder::add_processes() {
  // Of a running tree, one may go between two passes.
  if (records_.of_running()) std::erase_if(groups_, [](const auto& it) { return !it.second.complete(); });
  std::map<std::uint32_t, std::vector<std::uint32_t>> children;
  for (auto& [tgid, group] : groups_) {
    std::ranges::stable_partition(group.threads, is_leader);
    if (!group.complete())
      return fail(Error::target_gone(fmt::format("pid {}: gone while it was read", tgid)));
    if (tgid == root_) continue;
    // One that lost its parent while it was read (a tree that is not frozen) is shown below the root.
    const std::uint32_t parent = group.threads.front()->real_parent;
    group.parent = groups_.contains(parent) ? parent : root_;
    children[group.parent].push_back(tgid);
  }
  if (!groups_.contains(root_))
    return fail(Error::target_gone(fmt::format("pid {}: no such process", root_)));
  std::deque<std::uint32_t> queue = {root_};
  for (; !queue.empty(); queue.pop_front()) {
    fill_process(queue.front(), groups_.at(queue.front()), *model_.tasks.add_processes());
    for (std::uint32_t child : children[queue.front()]) queue.push_back(child);
  }
  return {};
}

}  // namespace bpfckpt::collect
