// SPDX-License-Identifier: Apache-2.0
#include "target/resume.h"

#include <signal.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "parasite/embedded.h"
#include "target/memory.h"

namespace bpfckpt::target {
namespace {

constexpr std::chrono::milliseconds kStopTime{10'000};

Result<void> must_stop(SeizedTask& task, Deadline deadline) {
  TRY_ASSIGN(const bool in_time, task.wait_stopped(deadline));
  if (!in_time) return fail(Error::system(fmt::format("stop of task {}", task.tid()), ETIMEDOUT));
  return {};
}

// ptrace takes exactly as many bytes as this machine's extended state has. What another machine has more must
// be unused (its bit in XSTATE_BV, checked by the kernel), what it has less is in its initial state.
Result<void> set_extended(SeizedTask& task, const std::vector<std::byte>& bytes) {
  if (bytes.empty()) return {};
  auto set = task.set_xstate(bytes);
  if (set || set.error().err() != EFAULT) return set;
  TRY_ASSIGN(const auto own, task.xstate());
  std::vector<std::byte> fitted = bytes;
  fitted.resize(own.size());
  return task.set_xstate(fitted);
}

Result<void> furnish(SeizedTask& task, const ResumeThread& thread) {
  Continuation to = arch::continue_afresh(thread.registers, thread.restart, thread.at_restart);
  if (!to.patch.empty() && !write_memory(task.tid(), to.patch_at, to.patch))
    to = arch::continue_afresh(thread.registers, std::nullopt, thread.at_restart);
  TRY(set_extended(task, thread.xstate));
  TRY(task.set_registers(to.registers));
  return task.set_blocked(thread.sigmask);
}

}  // namespace

HeldTree::~HeldTree() {
  for (const Process& process : processes_) ::kill(process.pid, SIGKILL);
  for (Process& process : processes_) {
    // The leader, who is first, can be waited for only when all others are gone.
    for (auto task = process.threads.rbegin(); task != process.threads.rend(); ++task) task->bury();
  }
}

// While all are held: the leader takes the signal, ahead of those that are pending, which lower numbers would
// be; the others stop before they do anything else.
Result<void> HeldTree::stop(Process& process) {
  SeizedTask& leader = process.threads.front();
  TRY_ASSIGN(const std::uint64_t mask, leader.blocked());
  TRY(leader.set_blocked(~(std::uint64_t{1} << (process.stop_signal - 1))));
  if (::kill(process.pid, process.stop_signal) != 0) return fail(Error::system("kill"));
  TRY(leader.resume());
  TRY(must_stop(leader, within(kStopTime)));
  return leader.set_blocked(mask);
}

Result<void> HeldTree::release() {
  Result<void> result;
  for (Process& process : processes_) {
    if (process.stop_signal == 0) continue;
    auto stopped = stop(process);
    if (!stopped && result)
      result = fail(std::move(stopped.error()).in(fmt::format("stop pid {}", process.pid)));
  }
  // Taken when we let go of them, unless they are stopped already.
  for (const Process& process : processes_) {
    if (process.stop_pending) ::kill(process.pid, SIGSTOP);
    for (const pid_t tid : process.threads_stop_pending) ::syscall(SYS_tgkill, process.pid, tid, SIGSTOP);
  }
  // Should we be killed after this loop, the kernel lets go of whom we have not: all of the tree goes on, not
  // the half of it. Whoever is let go takes the processor from us, so it comes first, for all.
  for (Process& process : processes_)
    for (SeizedTask& task : process.threads)
      if (auto kept = task.set_options(0); !kept) log::debug("{}", kept.error().message());
  for (Process& process : processes_) process.threads.clear();
  processes_.clear();
  return result;
}

Result<HeldTree> hold(Waiter& waiter, const std::vector<ResumeProcess>& processes, RemoteRange area,
                      std::map<pid_t, SeizedTask> seized) {
  TRY_ASSIGN(const std::uint64_t call_offset, arch::call_offset(parasite::blob()));
  HeldTree held;
  held.processes_.reserve(processes.size());
  for (const ResumeProcess& process : processes) {
    held.processes_.push_back({.pid = process.pid,
                               .stop_signal = process.stop_signal,
                               .stop_pending = process.stop_pending,
                               .threads_stop_pending = {},
                               .threads = {}});
    for (const ResumeThread& thread : process.threads)
      if (thread.stop_pending) held.processes_.back().threads_stop_pending.push_back(thread.tid);
  }
  for (std::size_t i = 0; i < processes.size(); ++i) {
    const ResumeProcess& process = processes[i];
    const std::uint64_t options = kExitKill | (process.seccomp ? kSuspendSeccomp : 0);
    for (const ResumeThread& thread : process.threads) {
      auto& threads = held.processes_[i].threads;
      if (auto it = seized.find(thread.tid); it != seized.end()) {
        threads.push_back(std::move(it->second));
      } else {
        TRY_ASSIGN(SeizedTask task, SeizedTask::seize(waiter, thread.tid, options));
        threads.push_back(std::move(task));
      }
      TRY(threads.back().interrupt());
    }
  }
  const Deadline deadline = within(kStopTime);
  for (auto& process : held.processes_)
    for (SeizedTask& task : process.threads) TRY(must_stop(task, deadline), "pid {}", process.pid);

  // One thread of each process unmaps the area: it makes the call, at an instruction of the area itself (a
  // process may have unmapped its vDSO), and is stopped again before the instruction that follows. A
  // syscall-stop is taken to get there, as we may be lost with the tree now. All are there before the first
  // goes on: processes may share their memory.
  for (std::size_t i = 0; i < processes.size(); ++i) {
    SeizedTask& task = held.processes_[i].threads.front();
    TRY_ASSIGN(const Registers before, task.registers());
    TRY(task.set_registers(arch::enter_call(before, area.start + call_offset, SYS_munmap,
                                            {area.start.value(), area.size(), 0, 0, 0, 0})));
    TRY(task.resume_to_call());
  }
  for (auto& process : held.processes_) {
    SeizedTask& task = process.threads.front();
    TRY(task.wait_call(deadline), "pid {}", process.pid);
  }
  for (auto& process : held.processes_) {
    // A PTRACE_EVENT_STOP, not the syscall-exit-stop: only on its way does the kernel look at interrupted
    // calls (arch_do_signal_or_restart()), which furnish() leaves to it.
    TRY(process.threads.front().make_call());
  }
  for (std::size_t i = 0; i < processes.size(); ++i) {
    auto& threads = held.processes_[i].threads;
    TRY(must_stop(threads.front(), deadline), "pid {}", processes[i].pid);
    TRY_ASSIGN(const Registers after, threads.front().registers());
    if (const auto result = arch::call_result(after); result != 0)
      return fail(Error::system("munmap of the control area", static_cast<int>(-result))
                      .in(fmt::format("pid {}", processes[i].pid)));
    for (std::size_t k = 0; k < threads.size(); ++k)
      TRY(furnish(threads[k], processes[i].threads[k]), "pid {} thread {}", processes[i].pid,
          processes[i].threads[k].tid);
  }
  return held;
}

}  // namespace bpfckpt::target
