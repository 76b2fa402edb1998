// SPDX-License-Identifier: Apache-2.0
#include "target/freeze.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <unordered_set>

#include "target/attacher.h"

namespace bpfckpt::target {
namespace {

// How long tasks get to stop before it is thought of that they wait for others; and how long those others
// then run.
constexpr std::chrono::milliseconds kPatience{20};
// How long a task may be one that must not be seized before that is believed.
constexpr std::chrono::milliseconds kDeniedTime{300};
// Between two looks at tasks that exit.
constexpr std::chrono::microseconds kExitTime{200};

using Members = std::vector<TreeMember>;

const TreeMember* member(const Members& members, pid_t tid) {
  auto it = std::ranges::find(members, tid, &TreeMember::tid);
  return it == members.end() ? nullptr : &*it;
}

// Waits for those of `tasks` that do not stand yet, until `deadline`; forgets who exited. Returns who still
// runs.
Result<std::set<pid_t>> settle(std::map<pid_t, SeizedTask>& tasks, Deadline deadline) {
  std::set<pid_t> running;
  for (auto it = tasks.begin(); it != tasks.end();) {
    if (it->second.stopped()) {
      ++it;
      continue;
    }
    auto in_time = it->second.wait_stopped(deadline);
    if (!in_time && in_time.error().code() == Error::Code::TargetGone) {
      it->second.forget();
      it = tasks.erase(it);
      continue;
    }
    if (!in_time) return fail(std::move(in_time.error()));
    if (!*in_time) running.insert(it->first);
    ++it;
  }
  return running;
}

// A reading goes from task to task: a thread that it has not come to yet may exec, end the others, and have
// the number of its leader, which was read already. So one that was read as dying may live by now,
bool has_lost_any(const Members& before, const Members& now) {
  std::unordered_set<pid_t> alive;
  for (const TreeMember& task : now)
    if (!task.gone) alive.insert(task.tid);
  return std::ranges::any_of(before,
                             [&](const TreeMember& task) { return !task.gone && !alive.contains(task.tid); });
}

// and one that was read as stopped may run. Forgets those; returns how many there were.
std::size_t forget_replaced(std::map<pid_t, SeizedTask>& tasks) {
  std::size_t replaced = 0;
  for (auto it = tasks.begin(); it != tasks.end();) {
    if (it->second.stands()) {
      ++it;
      continue;
    }
    it->second.forget();
    it = tasks.erase(it);
    replaced++;
  }
  return replaced;
}

// Children of `running` tasks go on; they are found and stopped again by the next reading.
void let_children_run(std::map<pid_t, SeizedTask>& tasks, const Members& members,
                      const std::set<pid_t>& running) {
  std::set<pid_t> parents;
  for (const pid_t tid : running)
    if (const TreeMember* parent = member(members, tid)) parents.insert(parent->tgid);
  for (const TreeMember& child : members) {
    auto it = tasks.find(child.tid);
    if (it != tasks.end() && it->second.stopped() && parents.contains(child.real_parent)) tasks.erase(it);
  }
}

Error too_late(const Members& members, const std::set<pid_t>& running) {
  std::string who;
  for (const pid_t tid : running) {
    const TreeMember* task = member(members, tid);
    if (task == nullptr) continue;
    if (!who.empty()) who += "; ";
    who += tid == task->tgid ? fmt::format("pid {}", tid) : fmt::format("pid {} thread {}", task->tgid, tid);
    const auto child = std::ranges::find(members, task->tgid, &TreeMember::real_parent);
    if (!task->uninterruptible) continue;
    who += child != members.end()
               ? fmt::format(" is in state D (waits for its vfork child? pid {})", child->tid)
               : " is in state D (uninterruptible sleep)";
  }
  for (const TreeMember& task : members)
    if (task.exiting)
      who += fmt::format("{}pid {} thread {} does not come to the end of its exit", who.empty() ? "" : "; ",
                         task.tgid, task.tid);
  if (who.empty()) who = "new processes appear faster than they can be stopped";
  return Error::system("cannot be stopped in time: " + who, ETIMEDOUT);
}

Error refused(const TreeMember& task) {
  if (task.tracer != 0 && task.tracer != ::getpid())
    return Error::unsupported(
        fmt::format("task {} of pid {} is traced by pid {}", task.tid, task.tgid, task.tracer));
  return Error::system(fmt::format("ptrace of task {} of pid {}", task.tid, task.tgid), EPERM);
}

}  // namespace

void FrozenTree::kill() {
  std::set<pid_t> leaders;
  for (const TreeMember& task : members_)
    if (tasks_.contains(task.tid) && leaders.insert(task.tgid).second) ::kill(task.tgid, SIGKILL);
  // Leaders last: they can be waited for only when their other threads are gone.
  for (auto& [tid, task] : tasks_)
    if (!leaders.contains(tid)) task.bury();
  for (auto& [tid, task] : tasks_) task.bury();
  tasks_.clear();
}

Result<FrozenTree> freeze(Waiter& waiter, const TreeReader& read, const FreezeOptions& options) {
  const Deadline deadline = within(options.timeout);
  FrozenTree tree;
  Attacher attacher;
  std::map<pid_t, Deadline> denied;  // and until when we ask again
  for (;;) {
    const Members before = std::move(tree.members_);
    // One that ran while the tree was read has forked since, or waited for a zombie that is named.
    const bool stood = std::ranges::all_of(tree.tasks_, [](auto& it) { return it.second.stopped(); });
    TRY_ASSIGN(tree.members_, read());
    bool fresh = has_lost_any(before, tree.members_);
    std::map<pid_t, Deadline> denied_now;
    std::set<pid_t> executing;  // processes that cannot be seized now, by tgid
    for (const TreeMember& task : tree.members_) {
      auto it = tree.tasks_.find(task.tid);
      if (task.gone) {
        // Who execs waits until its other threads are waited for by their tracer (fs/exec.c:de_thread()).
        if (it != tree.tasks_.end() && !it->second.check_running()) tree.tasks_.erase(it);
        continue;
      }
      if (it != tree.tasks_.end()) {
        if (!it->second.stopped() || !task.runs) continue;
        // Another thread's exec has ended it and taken its number.
        it->second.forget();
        tree.tasks_.erase(it);
      }
      fresh = true;
      if (executing.contains(task.tgid)) continue;
      const int error = task.tracer == ::getpid() ? 0 : attacher.seize(task.tid, options.ptrace_options);
      if (error == ESRCH) continue;
      if (error == EINTR) {
        executing.insert(task.tgid);
        continue;
      }
      // EPERM is said of zombies, too (ptrace_attach()): the next reading tells. A leader whose threads
      // exec one after the other is one again and again.
      if (error == EPERM) {
        auto until = denied.find(task.tid);
        const bool traced = task.tracer != 0 && task.tracer != ::getpid();
        if (until != denied.end() && (traced || std::chrono::steady_clock::now() >= until->second))
          return fail(refused(task));
        denied_now.emplace(task.tid, until == denied.end() ? within(kDeniedTime) : until->second);
        continue;
      }
      if (error != 0) return fail(Error::system(fmt::format("seize task {}", task.tid), error));
      SeizedTask seized = SeizedTask::adopt(waiter, task.tid);
      // ESRCH: it exits just now; wait_stopped() will tell, unless it has been waited for.
      if (auto asked = seized.interrupt(); !asked && asked.error().code() != Error::Code::TargetGone)
        return fail(std::move(asked.error()));
      if (seized.tid() != 0) tree.tasks_.emplace(task.tid, std::move(seized));
    }
    denied = std::move(denied_now);

    TRY_ASSIGN(const auto running, settle(tree.tasks_, std::min(deadline, within(kPatience))));
    const bool exiting = std::ranges::any_of(tree.members_, &TreeMember::exiting);
    if (stood && !fresh && !exiting && running.empty() && forget_replaced(tree.tasks_) == 0) break;
    if (std::chrono::steady_clock::now() >= deadline) return fail(too_late(tree.members_, running));
    if (exiting) std::this_thread::sleep_for(kExitTime);
    if (!running.empty()) {
      let_children_run(tree.tasks_, tree.members_, running);
      TRY(settle(tree.tasks_, std::min(deadline, within(kPatience))));
    }
  }
  if (tree.tasks_.empty()) return fail(Error::target_gone("no task of the tree is left"));
  return tree;
}

}  // namespace bpfckpt::target
