// SPDX-License-Identifier: Apache-2.0
// What a process and its threads have besides memory and files.
//
// Order matters: limits after memory and files are there; credentials after everything that needs privileges;
// what a change of credentials resets (dumpable, the parent-death signal) after them.
#include <fcntl.h>
#include <linux/membarrier.h>
#include <linux/prctl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>

#include "kernel/clamps.h"
#include "model/details.h"
#include "model/tracer.h"
#include "restore/credentials_plan.h"
#include "restore/planner.h"
#include "restore/signal_info.h"

namespace bpfckpt::restore {
namespace {

constexpr int kPrTimerCreateRestoreIds = 77;  // include/uapi/linux/prctl.h, since 6.16

struct KernelSigaction {
  std::uint64_t handler, flags, restorer, mask;
};

timespec timespec_of(std::uint64_t ns) {
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

void plan_itimer(PlanBuilder& plan, Actor pid, int which, const pb::Itimer& timer) {
  if (timer.value_ns() == 0 && timer.interval_ns() == 0) return;
  auto timeval_of = [](std::uint64_t ns) {
    return timeval{static_cast<time_t>(ns / 1'000'000'000),
                   static_cast<suseconds_t>(ns % 1'000'000'000 / 1000)};
  };
  itimerval value{timeval_of(timer.interval_ns()), timeval_of(timer.value_ns())};
  // Less than a microsecond to go: zero would disarm it.
  if (timer.value_ns() != 0 && timer.value_ns() < 1000) value.it_value.tv_usec = 1;
  // A periodic alarm whose signal is pending starts again when that is taken
  // (kernel/signal.c:dequeue_signal()), if it has a period, which only a timer that was armed has.
  if (timer.value_ns() == 0) value.it_value = value.it_interval;
  plan.call(pid, SYS_setitimer, {which, Operand::data(plan.bytes_of(value)), 0}, "interval timer");
}

// struct sigevent as the kernel has it (include/uapi/asm-generic/siginfo.h).
struct KernelSigevent {
  std::uint64_t value;
  std::int32_t signo, notify, tid;
  std::int32_t pad[11];
};
static_assert(sizeof(KernelSigevent) == 64);

// Timer ids are numbers that the process knows. Where the kernel cannot be told the id, they come one after
// the other, so that timers nobody wants fill the gaps for a moment.
void plan_posix_timers(PlanBuilder& plan, const pb::Process& process) {
  if (process.posix_timers().empty()) return;
  Actor pid = process.pid();
  bool by_id = plan.environment().timer_ids_restorable();
  std::vector<const pb::PosixTimer*> timers;
  for (const pb::PosixTimer& timer : process.posix_timers()) timers.push_back(&timer);
  std::ranges::sort(timers, {}, [](const pb::PosixTimer* t) { return t->id(); });

  if (by_id) plan.call(pid, SYS_prctl, {kPrTimerCreateRestoreIds, 1, 0, 0, 0});
  std::int32_t next = 0;
  for (const pb::PosixTimer* timer : timers) {
    KernelSigevent event{};
    event.value = timer->sigev_value();
    event.signo = static_cast<std::int32_t>(timer->signal());
    event.notify = static_cast<std::int32_t>(timer->notify());
    event.tid = static_cast<std::int32_t>(timer->notify_tid());
    DataId event_data = plan.bytes_of(event);
    for (; !by_id && next < timer->id(); next++) {
      plan.call(pid, SYS_timer_create, {CLOCK_MONOTONIC, 0, Operand::data(plan.zeroes(8))});
      plan.call(pid, SYS_timer_delete, {next});
    }
    DataId id = plan.bytes_of(std::int64_t{timer->id()});
    plan.call(pid, SYS_timer_create, {timer->clock(), Operand::data(event_data), Operand::data(id)}, "timer");
    next = timer->id() + 1;
    if (timer->value_ns() == 0 && timer->interval_ns() == 0) continue;
    itimerspec spec{timespec_of(timer->interval_ns()), timespec_of(timer->value_ns())};
    plan.call(pid, SYS_timer_settime, {timer->id(), 0, Operand::data(plan.bytes_of(spec)), 0});
  }
  if (by_id) plan.call(pid, SYS_prctl, {kPrTimerCreateRestoreIds, 0, 0, 0, 0});
}

// What mm->membarrier_state (include/linux/sched/mm.h) says was registered.
void plan_membarrier(PlanBuilder& plan, Actor pid, std::uint64_t state) {
  struct {
    std::uint64_t bit;
    int command;
  } constexpr kRegistrations[] = {
      {1u << 0, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED},
      {1u << 2, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED},
      {1u << 4, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE},
      {1u << 6, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ},
  };
  for (auto& registration : kRegistrations)
    if (state & registration.bit) plan.call(pid, SYS_membarrier, {registration.command, 0, 0}, "membarrier");
}

// `note` is the name of the file, too.
void plan_proc_setting(PlanBuilder& plan, Actor pid, const char* note, const std::string& value) {
  OpId file = plan.call(kSelf, SYS_open,
                        {Operand::data(plan.text(fmt::format("/proc/{}/{}", pid, note))), 1 /*O_WRONLY*/});
  plan.call(kSelf, SYS_write, {Operand::result(file), Operand::data(plan.text(value)), value.size()}, note);
  plan.call(kSelf, SYS_close, {Operand::result(file)});
}

// What the kernel takes through files only.
void plan_proc_settings(PlanBuilder& plan, const pb::Process& process) {
  if (process.oom_score_adj() != plan.environment().oom_score_adj())
    plan_proc_setting(plan, process.pid(), "oom_score_adj", fmt::format("{}", process.oom_score_adj()));
  const pb::AddressSpace* mm = plan.index().address_space(process.mm_id());
  if (mm != nullptr && mm->coredump_filter() != plan.environment().coredump_filter())
    plan_proc_setting(plan, process.pid(), "coredump_filter", fmt::format("{:#x}", mm->coredump_filter()));
}

// A machine that refuses has nothing to speculate about, or leaves no choice.
void plan_speculation(PlanBuilder& plan, Actor tid, const pb::Thread& thread) {
  if (thread.store_bypass() != 0)
    plan.try_call(tid, SYS_prctl,
                  {PR_SET_SPECULATION_CTRL, PR_SPEC_STORE_BYPASS, thread.store_bypass(), 0, 0},
                  "store bypass");
  if (thread.indirect_branch() != 0)
    plan.try_call(tid, SYS_prctl,
                  {PR_SET_SPECULATION_CTRL, PR_SPEC_INDIRECT_BRANCH, thread.indirect_branch(), 0, 0},
                  "indirect branches");
}

// x86: instructions that end in SIGSEGV. A thread inherits them from the one that makes it.
void plan_faulting(PlanBuilder& plan, Actor tid, const pb::Thread& thread) {
  if (thread.no_tsc()) plan.call(tid, SYS_prctl, {PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0}, "time-stamp counter");
  if (thread.no_cpuid()) plan.call(tid, SYS_arch_prctl, {0x1012 /*ARCH_SET_CPUID*/, 0}, "CPUID");
}

void plan_fs(Planning& planning, const pb::Process& process) {
  PlanBuilder& plan = planning.plan;
  const pb::FsContext* fs = plan.index().fs_context(process.fs_id());
  // Once for those that share it (CLONE_FS): names lead elsewhere after a chroot.
  if (fs == nullptr || !planning.fs_contexts_made.insert(fs->id()).second) return;
  Actor pid = process.pid();
  if (fs->cwd().deleted()) {
    Operand removed = planning.removed_directories.at({fs->cwd().device(), fs->cwd().inode()});
    OpId there = plan.op(Op::Code::Pull, pid, {removed}, "working directory");
    plan.call(pid, SYS_fchdir, {Operand::result(there)}, "working directory");
    plan.call(pid, SYS_close, {Operand::result(there)});
  } else {
    plan.call(pid, SYS_chdir, {Operand::data(plan.text(fs->cwd().path()))}, "working directory");
  }
  if (fs->root().path() != "/")
    plan.call(pid, SYS_chroot, {Operand::data(plan.text(fs->root().path()))}, "root");
  plan.call(pid, SYS_umask, {fs->umask()});
}

void plan_scheduling(PlanBuilder& plan, Actor tid, const pb::Scheduling& s) {
  kernel::SchedAttr attr;
  attr.policy = s.policy();
  attr.flags = (s.reset_on_fork() ? kernel::kSchedResetOnFork : 0) |
               (s.policy() == SCHED_DEADLINE ? s.deadline_flags() : 0u) |
               (s.has_util_min() ? kernel::kSchedUtilMin : 0) |
               (s.has_util_max() ? kernel::kSchedUtilMax : 0);
  attr.nice = s.nice();
  attr.priority = s.rt_priority();
  attr.runtime = s.policy() == SCHED_DEADLINE ? s.deadline_runtime_ns() : s.slice_ns();
  attr.deadline = s.deadline_deadline_ns();
  attr.period = s.deadline_period_ns();
  attr.util_min = s.util_min();
  attr.util_max = s.util_max();
  // The nice value of other policies is not used but kept; sched_setattr() takes it for SCHED_OTHER and
  // SCHED_BATCH only (kernel/sched/syscalls.c:__setscheduler_params()).
  if (s.policy() != SCHED_OTHER && s.policy() != SCHED_BATCH)
    plan.call(tid, SYS_setpriority, {PRIO_PROCESS, 0, s.nice()}, "nice");
  plan.call(tid, SYS_sched_setattr, {0, Operand::data(plan.bytes_of(attr)), 0}, "scheduling");
  if (!s.affinity().empty())
    plan.call(tid, SYS_sched_setaffinity,
              {0, s.affinity().size(), Operand::data(plan.data(std::as_bytes(std::span(s.affinity()))))},
              "cpus");
}

void plan_pending(PlanBuilder& plan, Actor pid, Actor tid, const std::string& info, bool for_thread) {
  if (is_stop(info)) return;
  const std::int32_t signal = signal_of(info);
  Operand bytes = Operand::data(plan.data(std::as_bytes(std::span(info))));
  // A task may send itself any siginfo (kernel/signal.c:do_rt_sigqueueinfo()).
  if (for_thread)
    plan.call(tid, SYS_rt_tgsigqueueinfo, {pid, tid, signal, bytes}, "pending signal");
  else
    plan.call(tid, SYS_rt_sigqueueinfo, {pid, signal, bytes}, "pending signal");
}

bool has_pending(const pb::Process& process) {
  return !process.pending().empty() ||
         std::ranges::any_of(process.threads(), [](const pb::Thread& t) { return !t.pending().empty(); });
}

void plan_limit(PlanBuilder& plan, const pb::Process& process, int which) {
  rlimit limit{process.rlimits(which).soft(), process.rlimits(which).hard()};
  plan.call(process.pid(), SYS_prlimit64, {0, which, Operand::data(plan.bytes_of(limit)), 0}, "limit");
}

}  // namespace

Result<void> check_clamps(const Model& model, const Environment& environment) {
  if (environment.own_clamps()) return {};
  for (const pb::Process& process : model.tasks.processes())
    for (const pb::Thread& thread : process.threads())
      if (const pb::Scheduling& s = thread.scheduling();
          process.state() != pb::ZOMBIE && (s.has_util_min() || s.has_util_max()))
        return fail(Error::missing_feature(fmt::format(
            "thread {} has utilization clamps (sched_setattr(2)), which this kernel has not", thread.tid())));
  return {};
}

void plan_no_clamps(PlanBuilder& plan, Actor root) {
  if (const auto own = plan.environment().own_clamps(); !own || own == kernel::Clamps{}) return;
  const kernel::SchedAttr attr = kernel::without_clamps();
  plan.call(root, SYS_sched_setattr, {0, Operand::data(plan.bytes_of(attr)), 0}, "utilization clamps");
}

void plan_process_state(Planning& planning, const pb::Process& process) {
  PlanBuilder& plan = planning.plan;
  Actor pid = process.pid();
  plan_fs(planning, process);
  for (const pb::SigAction& action : process.sigactions()) {
    KernelSigaction value{action.handler(), action.flags(), action.restorer(), action.mask()};
    plan.call(pid, SYS_rt_sigaction, {action.signal(), Operand::data(plan.bytes_of(value)), 0, 8},
              "signal action");
  }
  if (process.child_subreaper()) plan.call(pid, SYS_prctl, {PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0});
  if (process.ptracer() != 0 && !is_tracer_outside(plan.model(), plan.index(), process))
    plan.try_call(pid, SYS_prctl, {PR_SET_PTRACER, process.ptracer(), 0, 0, 0}, "who may trace it");
  plan_membarrier(plan, pid, process.membarrier_state());
  plan_proc_settings(plan, process);
  plan_posix_timers(plan, process);
  plan_itimer(plan, pid, ITIMER_REAL, process.itimer_real());
  plan_itimer(plan, pid, ITIMER_VIRTUAL, process.itimer_virtual());
  plan_itimer(plan, pid, ITIMER_PROF, process.itimer_prof());
  for (int i = 0; i < process.rlimits_size(); i++)
    if (i != RLIMIT_SIGPENDING || !has_pending(process)) plan_limit(plan, process, i);
  // Signals are queued when the process has its credentials, and count against its user's limit. Not
  // everybody can lift ours.
  if (has_pending(process))
    plan.try_call(
        pid, SYS_prlimit64,
        {0, RLIMIT_SIGPENDING, Operand::data(plan.bytes_of(rlimit{RLIM_INFINITY, RLIM_INFINITY})), 0},
        "for pending signals");
}

void plan_thread_state(Planning& planning, const pb::Process& process, const pb::Thread& thread) {
  PlanBuilder& plan = planning.plan;
  Actor tid = thread.tid();
  plan.call(tid, SYS_prctl, {PR_SET_NAME, Operand::data(plan.text(from_printable(thread.comm()))), 0, 0, 0},
            "name");
  if (thread.exited()) {  // a leader, which does its process's work until it ends again
    plan.call(tid, SYS_set_tid_address, {0});
    plan_scheduling(plan, tid, thread.scheduling());
    plan_credentials(plan, tid, plan.index().credentials(thread.credentials_id()));
    return;
  }
  if (thread.robust_list() != 0)
    plan.call(tid, SYS_set_robust_list, {thread.robust_list(), thread.robust_list_len()});
  plan.call(tid, SYS_set_tid_address, {thread.clear_child_tid()});
  if (thread.rseq().address() != 0)
    plan.call(tid, SYS_rseq, {thread.rseq().address(), thread.rseq().len(), 0, thread.rseq().signature()},
              "rseq");
  if (thread.sigaltstack().size() != 0 && !(thread.sigaltstack().flags() & SS_DISABLE)) {
    struct {
      std::uint64_t sp;
      std::uint32_t flags, pad;
      std::uint64_t size;
    } stack{thread.sigaltstack().sp(), thread.sigaltstack().flags() & ~std::uint32_t{SS_ONSTACK}, 0,
            thread.sigaltstack().size()};
    plan.call(tid, SYS_sigaltstack, {Operand::data(plan.bytes_of(stack)), 0}, "alternate stack");
  }
  plan.call(tid, SYS_personality, {thread.personality()});
  plan_scheduling(plan, tid, thread.scheduling());
  if (thread.io_priority() != 0)
    plan.call(tid, SYS_ioprio_set, {1 /*IOPRIO_WHO_PROCESS*/, 0, thread.io_priority()}, "io priority");
  if (thread.has_memory_policy()) {
    const pb::MemoryPolicy& policy = thread.memory_policy();
    Operand nodes = policy.nodes() == 0 ? Operand(0) : Operand::data(plan.bytes_of(policy.nodes()));
    plan.call(tid, SYS_set_mempolicy, {policy.mode(), nodes, policy.nodes() == 0 ? 0 : 64 + 1},
              "memory policy");
  }
  // A timer slack of 0 asks for the default, which it cannot be.
  if (thread.timer_slack_ns() != 0)
    plan.call(tid, SYS_prctl, {PR_SET_TIMERSLACK, thread.timer_slack_ns(), 0, 0, 0});

  plan_speculation(plan, tid, thread);
  if (thread.machine_check() != 0)
    plan.try_call(tid, SYS_prctl, {PR_MCE_KILL, PR_MCE_KILL_SET, thread.machine_check() - 1, 0, 0},
                  "machine-check policy");

  if (thread.io_flusher()) plan.call(tid, SYS_prctl, {PR_SET_IO_FLUSHER, 1, 0, 0, 0}, "I/O flusher");
  plan_faulting(plan, tid, thread);
  plan_credentials(plan, tid, plan.index().credentials(thread.credentials_id()));
  if (thread.no_new_privs()) plan.call(tid, SYS_prctl, {PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0});
  // The root would be sent its signal as soon as it runs: its new parent's end, as little as its first
  // parent's, is not what it waits for.
  const bool orphaned = planning.policy.parent_ends && process.parent_pid() == 0;
  if (thread.pdeath_signal() != 0 && !orphaned)
    plan.call(tid, SYS_prctl, {PR_SET_PDEATHSIG, thread.pdeath_signal(), 0, 0, 0});
  for (const std::string& info : thread.pending()) plan_pending(plan, process.pid(), tid, info, true);
}

void plan_process_end(Planning& planning, const pb::Process& process) {
  PlanBuilder& plan = planning.plan;
  Actor pid = process.pid();
  const pb::AddressSpace* mm = plan.index().address_space(process.mm_id());
  if (mm != nullptr) {
    // 2 (readable by root only) cannot be asked for; a process gets it, where it may have it at all, by the
    // change of credentials itself. What must not be is that it becomes more readable than it was.
    plan.call(pid, SYS_prctl, {PR_SET_DUMPABLE, mm->dumpable() == 1 ? 1 : 0, 0, 0, 0}, "dumpable");
    if (mm->mdwe() != 0) plan.call(pid, SYS_prctl, {65 /*PR_SET_MDWE*/, mm->mdwe(), 0, 0, 0});
  }
  for (const std::string& info : process.pending()) plan_pending(plan, pid, pid, info, false);
  if (has_pending(process) && process.rlimits_size() > RLIMIT_SIGPENDING)
    plan_limit(plan, process, RLIMIT_SIGPENDING);
}

void plan_zombies(Planning& planning) {
  PlanBuilder& plan = planning.plan;
  plan.phase("zombies", true);
  for (const pb::Process& process : planning.model().tasks.processes()) {
    if (process.state() != pb::ZOMBIE) continue;
    const pb::Thread& thread = process.threads(0);
    plan.call(process.pid(), SYS_prctl,
              {PR_SET_NAME, Operand::data(plan.text(from_printable(thread.comm()))), 0, 0, 0}, "name");
    plan_credentials(plan, process.pid(), plan.index().credentials(thread.credentials_id()), true);
    plan.op(Op::Code::Exit, process.pid(), {process.exit_code()}, "zombie");
    // Seen to have ended, and left as it is.
    if (process.parent_pid() != 0)
      plan.call(process.parent_pid(), SYS_waitid, {P_PID, process.pid(), 0, WEXITED | WNOWAIT | __WALL, 0});
  }
}

void plan_drain_sigchld(Planning& planning) {
  PlanBuilder& plan = planning.plan;
  plan.phase("signals");
  std::set<std::uint32_t> parents;
  for (const pb::Process& process : planning.model().tasks.processes())
    if (process.state() == pb::ZOMBIE && process.parent_pid() != 0) parents.insert(process.parent_pid());
  for (const auto& helper : planning.helpers) parents.insert(helper.parent);
  for (std::uint32_t pid : parents) {
    // Children that ended above left a signal pending that the process never had. An exit signal queues once.
    DataId set = plan.bytes_of(std::uint64_t{1} << (SIGCHLD - 1));
    plan.try_call(pid, SYS_rt_sigtimedwait,
                  {Operand::data(set), 0, Operand::data(plan.bytes_of(timespec{0, 0})), 8}, "drop SIGCHLD");
  }
}

}  // namespace bpfckpt::restore
