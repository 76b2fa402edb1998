// SPDX-License-Identifier: Apache-2.0
#include "dump/taken_tree.h"

#include <signal.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/log.h"
#include "model/living_thread.h"

namespace bpfckpt::dump {
namespace {

// A thread waits in the gate for a time, then it goes home: so many are sent there before the first one is
// fetched.
constexpr std::size_t kSentAtOnce = 64;

std::string siginfo_bytes(const siginfo_t& info) {
  return {reinterpret_cast<const char*>(&info), sizeof info};
}

std::optional<target::RestartCall> restart_of(const pb::Thread& thread) {
  if (!thread.has_restart()) return std::nullopt;
  target::RestartCall call;
  call.call = thread.restart().call();
  call.clock = static_cast<int>(thread.restart().clock());
  if (thread.restart().remaining_ns() >= 0) call.remaining_ns = thread.restart().remaining_ns();
  return call;
}

target::RemoteRange vdso_of(const pb::AddressSpace& mm) {
  for (const pb::Vma& vma : mm.vmas())
    if (vma.kind() == pb::SPECIAL && vma.name() == "[vdso]")
      return {target::RemoteAddress(vma.start()), target::RemoteAddress(vma.end())};
  return {};
}

}  // namespace

Result<TakenTree> TakenTree::freeze(target::Waiter& waiter, target::RobustList& robust, Collector& collector,
                                    pid_t root, std::chrono::milliseconds timeout) {
  std::vector<pid_t> processes;
  auto read = [&]() -> Result<std::vector<target::TreeMember>> {
    TRY_ASSIGN(std::vector<TaskSummary> tasks, collector.tree(root));
    std::vector<target::TreeMember> members;
    processes.clear();
    for (const TaskSummary& task : tasks) {
      if (task.tid == task.tgid) processes.push_back(static_cast<pid_t>(task.tgid));
      target::TreeMember member;
      member.tid = static_cast<pid_t>(task.tid);
      member.tgid = static_cast<pid_t>(task.tgid);
      member.real_parent = static_cast<pid_t>(task.real_parent);
      member.tracer = static_cast<pid_t>(task.tracer);
      member.gone = task.zombie() || task.exiting();
      member.exiting = task.exiting() && !task.zombie();
      member.uninterruptible = task.uninterruptible();
      member.runs = (task.state & 8) == 0;  // __TASK_TRACED
      members.push_back(member);
    }
    return members;
  };
  target::FreezeOptions options;
  options.timeout = timeout;
  TRY_ASSIGN(target::FrozenTree frozen, target::freeze(waiter, read, options), "freezing");
  TakenTree tree(robust, std::move(frozen));
  tree.processes_ = std::move(processes);
  return tree;
}

namespace {

// Threads that inherited a filter, or installed the same, share it in the image.
class FilterTable {
 public:
  explicit FilterTable(pb::Tasks& tasks) : tasks_(tasks) {}

  std::uint32_t id_of(const target::SeccompFilter& filter) {
    std::string program(reinterpret_cast<const char*>(filter.program.data()), filter.program.size());
    auto [it, fresh] = ids_.try_emplace({filter.flags, program}, static_cast<std::uint32_t>(ids_.size() + 1));
    if (fresh) {
      pb::SeccompFilter& message = *tasks_.add_seccomp_filters();
      message.set_id(it->second);
      message.set_program(std::move(program));
      message.set_flags(filter.flags);
    }
    return it->second;
  }

 private:
  pb::Tasks& tasks_;
  std::map<std::pair<std::uint32_t, std::string>, std::uint32_t> ids_;
};

constexpr std::uint32_t kSeccompModeFilter = 2;

}  // namespace

Result<void> TakenTree::read_threads(Model& model) {
  FilterTable filters(model.tasks);
  for (pb::Process& process : *model.tasks.mutable_processes()) {
    if (process.state() == pb::ZOMBIE) continue;
    for (pb::Thread& thread : *process.mutable_threads()) {
      pid_t tid = static_cast<pid_t>(thread.tid());
      target::SeizedTask* task = frozen_.find(tid);
      if (task == nullptr) continue;                     // a leader that exited before its threads
      bool leader = &thread == &living_thread(process);  // what the process has is shown by any of them
      TRY_ASSIGN(target::ThreadState state, task->state(leader), "pid {}: thread {}", process.pid(), tid);
      target::Registers registers = target::recorded_registers(state);
      thread.set_registers(&registers, sizeof registers);
      thread.set_xstate(state.xstate.data(), state.xstate.size());
      thread.set_blocked(state.sigmask);
      thread.set_at_restart(state.at_restart);
      if (thread.seccomp_mode() == kSeccompModeFilter) {
        TRY_ASSIGN(const auto own, task->seccomp_filters(), "pid {}", process.pid());
        for (const target::SeccompFilter& filter : own) thread.add_seccomp_filter_ids(filters.id_of(filter));
      }
      for (const siginfo_t& info : state.pending) thread.add_pending(siginfo_bytes(info));
      if (leader) {
        for (const siginfo_t& info : state.shared_pending) process.add_pending(siginfo_bytes(info));
        if (int signal = task->group_stop_signal(); signal != 0) {
          process.set_state(pb::STOPPED);
          process.set_stop_signal(static_cast<std::uint32_t>(signal));
        }
      }
      if (state.rseq.address != 0) {
        pb::Rseq& rseq = *thread.mutable_rseq();
        rseq.set_address(state.rseq.address);
        rseq.set_len(state.rseq.len_bytes);
        rseq.set_signature(state.rseq.signature);
        rseq.set_flags(state.rseq.flags);
      } else {
        thread.clear_rseq();
      }
      states_.insert_or_assign(tid, std::move(state));
    }
  }
  return {};
}

Result<void> TakenTree::inject(const Model& model, std::chrono::seconds gate_wait) {
  struct Candidate {
    pid_t pid;
    std::uint32_t mm_id;
    target::SeizedTask* task;
    const target::ThreadState* state;
    target::Injection injection;
  };
  ModelIndex index(model);
  std::vector<Candidate> candidates;
  std::optional<Error> away;
  for (const pb::Process& process : model.tasks.processes()) {
    const pb::AddressSpace* mm = index.address_space(process.mm_id());
    const pb::Thread& thread = living_thread(process);
    pid_t tid = static_cast<pid_t>(thread.tid());
    target::SeizedTask* task = frozen_.find(tid);
    auto state = states_.find(tid);
    if (mm == nullptr || task == nullptr || state == states_.end()) continue;
    target::Injection injection;
    injection.pid = tid;
    injection.vdso = vdso_of(*mm);
    if (thread.sigaltstack().size() != 0)
      injection.altstack = {target::RemoteAddress(thread.sigaltstack().sp()),
                            target::RemoteAddress(thread.sigaltstack().sp() + thread.sigaltstack().size())};
    injection.seccomp = thread.seccomp_mode() != 0;
    injection.restart = restart_of(thread);
    // Under seccomp who goes home by itself leaves its area behind.
    injection.gate_wait = injection.seccomp ? kLongGateWait : gate_wait;
    // On the way out nothing can be tried again: all that was taken would be of no use.
    injection.leave_wait = kLongGateWait;
    pid_t pid = static_cast<pid_t>(process.pid());
    auto home =
        target::InjectedParasite::check_home(*task, state->second.registers, injection.pid, injection.vdso);
    if (!home) away = std::move(home.error()).in(fmt::format("pid {}", pid));
    candidates.push_back({pid, process.mm_id(), task, &state->second, std::move(injection)});
  }
  // What stands in the code of a bpfckpt that was killed is home in a moment, but would never be after a
  // restore.
  if (away) return fail(std::move(*away));

  std::map<std::uint32_t, pid_t> hosts;  // by address space: whose parasite brought the gate
  std::vector<pid_t> sent;               // into the gate, and not placed yet
  for (Candidate& it : candidates) {
    auto host = hosts.find(it.mm_id);
    it.injection.gate_in_place = host != hosts.end();
    auto parasite = target::InjectedParasite::begin(*it.task, *robust_, *it.state, it.injection);
    // Of a process that is gone nothing can be read from outside, either.
    if (!parasite && parasite.error().code() == Error::Code::TargetGone)
      return fail(std::move(parasite.error()).in(fmt::format("pid {}", it.pid)));
    if (!parasite) {
      log::warn("pid {}: read from outside: {}", it.pid, parasite.error().message());
      continue;
    }
    if (host != hosts.end()) {
      guests_.emplace(it.pid, Guest{host->second, std::move(*parasite)});
    } else {
      hosts.emplace(it.mm_id, it.pid);
      parasites_.emplace(it.pid, std::move(*parasite));
    }
    sent.push_back(it.pid);
    if (sent.size() < kSentAtOnce) continue;
    TRY(place(sent));
    sent.clear();
    std::erase_if(hosts, [&](const auto& host) { return !parasites_.contains(host.second); });
  }
  return place(sent);
}

// In the order in which they were sent: a host before its guests.
Result<void> TakenTree::place(const std::vector<pid_t>& sent) {
  for (const pid_t pid : sent) {
    target::InjectedParasite* parasite = this->parasite(static_cast<std::uint32_t>(pid));
    if (parasite == nullptr) continue;  // a guest whose host is gone
    auto done = parasite->place();
    if (done) continue;
    // It may have become anything since it was read.
    if (target::went_on(done.error())) return fail(std::move(done.error()).in(fmt::format("pid {}", pid)));
    for (auto& [guest_pid, guest] : guests_)
      if (guest.host == pid) TRY(guest.parasite.give_back(), "pid {}", guest_pid);
    TRY(parasite->give_back(), "pid {}", pid);
    log::warn("pid {}: read from outside: {}", pid, done.error().message());
    std::erase_if(guests_, [&](auto& guest) { return guest.second.host == pid; });
    parasites_.erase(pid);
    guests_.erase(pid);
  }
  return {};
}

target::InjectedParasite* TakenTree::parasite(std::uint32_t pid) {
  auto it = parasites_.find(static_cast<pid_t>(pid));
  if (it != parasites_.end()) return &it->second;
  auto guest = guests_.find(static_cast<pid_t>(pid));
  return guest == guests_.end() ? nullptr : &guest->second.parasite;
}

Result<void> TakenTree::cure() {
  std::vector<std::pair<pid_t, target::InjectedParasite*>> all;
  for (auto& [pid, guest] : guests_) all.emplace_back(pid, &guest.parasite);
  const std::size_t guests = all.size();
  for (auto& [pid, parasite] : parasites_) all.emplace_back(pid, &parasite);
  for (std::size_t begin = 0; begin < all.size();) {
    // Guests are home before any host leaves: they go through its gate.
    const std::size_t end = std::min(begin + kSentAtOnce, begin < guests ? guests : all.size());
    for (std::size_t i = begin; i < end; i++) TRY(all[i].second->begin_cure(), "pid {}", all[i].first);
    for (std::size_t i = begin; i < end; i++) TRY(all[i].second->cure(), "pid {}", all[i].first);
    begin = end;
  }
  guests_.clear();
  parasites_.clear();
  return {};
}

void TakenTree::kill() {
  frozen_.kill();
}

Result<void> TakenTree::leave_stopped() {
  for (pid_t pid : processes_)
    if (::kill(pid, SIGSTOP) != 0 && errno != ESRCH)
      return fail(Error::system(fmt::format("SIGSTOP to pid {}", pid)));
  frozen_.release();
  return {};
}

}  // namespace bpfckpt::dump
