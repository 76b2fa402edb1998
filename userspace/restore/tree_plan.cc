// SPDX-License-Identifier: Apache-2.0
// The order in which processes are made.
//
// A process is in its parent's session when it is born, and leaves it only by setsid(2), which gives it a
// session of its own number. So a child that is in its parent's former session must be forked before the
// parent calls setsid(); and a child whose session leader is dead needs somebody in that session to fork it
// on the parent's behalf (CLONE_PARENT): a helper of the leader's number, which is made for that and ends
// when all is in place. The same goes for process groups whose leader is gone, but a group can be joined at
// any time, so they come after all processes.
#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <optional>
#include <unordered_map>

#include "kinds/procfs.h"
#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

using Pid = std::uint32_t;

class TreePlanner {
 public:
  explicit TreePlanner(Planning& planning) : planning_(planning), plan_(planning.plan) {
    for (const pb::Process& p : planning.model().tasks.processes()) {
      if (p.parent_pid() != 0) children_[p.parent_pid()].push_back(&p);
      all_.emplace(p.pid(), &p);
    }
    const pb::Process& root = planning.model().tasks.processes(0);
    if (root.sid() != root.pid()) started_in_ = root.sid();
  }

  // Everything below `p`, which exists in session `birth`.
  Result<void> grow(const pb::Process& p, Pid birth) {
    const auto& kids = children_[p.pid()];
    bool leads = p.sid() == p.pid();
    std::vector<const pb::Process*> after;
    for (const pb::Process* kid : kids) {
      auto need = needed_birth_session(*kid);
      if (leads && need && *need == birth) {
        planning_.late.erase(kid->pid());  // it must be in the session that its parent is about to leave
        TRY(fork(p, *kid, birth));
      } else {
        after.push_back(kid);
      }
    }
    Pid now = birth;
    if (leads) {
      plan_.call(p.pid(), SYS_setsid, {}, "session");
      now = p.pid();
    }
    for (const pb::Process* kid : after) {
      if (planning_.late.contains(kid->pid())) continue;
      TRY(fork_in_session(p, *kid, now));
    }
    return {};
  }

  Result<void> fork_in_session(const pb::Process& parent, const pb::Process& kid, Pid now) {
    auto need = needed_birth_session(kid);
    if (!need || *need == now) return fork(parent, kid, now);
    // Somebody who is in that session and has the same parent can fork it in the parent's name.
    Pid proxy = 0;
    if (auto it = all_.find(*need); it != all_.end()) {
      if (it->second->parent_pid() == parent.pid() && it->second->state() != pb::ZOMBIE &&
          made_.contains(*need))
        proxy = *need;
      else
        return fail(Error::unsupported(fmt::format(
            "pid {}: its session {} was not its parent's and cannot be entered again", kid.pid(), *need)));
    } else {
      TRY_ASSIGN(proxy, session_helper(parent, *need));
    }
    plan_.op(Op::Code::Fork, proxy, {kid.pid(), CLONE_PARENT}, "child of the proxy's parent");
    made_.insert(kid.pid());
    note_birth(kid.pid(), proxy);
    return grow(kid, *need);
  }

 private:
  Result<void> fork(const pb::Process& parent, const pb::Process& kid, Pid birth) {
    std::uint64_t flags = kid.exit_signal() == 0 ? SIGCHLD : kid.exit_signal();
    // Sharing between processes is made by the fork itself, and so only between parent and child.
    if (kid.mm_id() != 0 && kid.mm_id() == parent.mm_id()) flags |= CLONE_VM;
    if (kid.fd_table_id() != 0 && kid.fd_table_id() == parent.fd_table_id()) flags |= CLONE_FILES;
    if (kid.fs_id() != 0 && kid.fs_id() == parent.fs_id()) flags |= CLONE_FS;
    if (kid.sighand_id() != 0 && kid.sighand_id() == parent.sighand_id()) flags |= CLONE_SIGHAND;
    plan_.op(Op::Code::Fork, parent.pid(), {kid.pid(), flags});
    made_.insert(kid.pid());
    note_birth(kid.pid(), parent.pid());
    return grow(kid, birth);
  }

  // A fork copies what its maker has: its own memory, or still what that one was born with.
  void note_birth(Pid kid, Pid maker) {
    auto it = all_.find(maker);
    const Pid mm = it == all_.end() ? 0 : it->second->mm_id();
    planning_.born_with[kid] = planning_.filled.contains(mm) ? mm : planning_.born_with[maker];
  }

  // The session that the process must be born in; nullopt: any will do, it makes its own before it has
  // children.
  std::optional<Pid> needed_birth_session(const pb::Process& p) {
    if (p.sid() != p.pid()) return p.sid();
    // A leader has children of another session if they are orphans that were given to it (a helper forks
    // those), or if it forked them before it left: then that session is an ancestor's, or the one the tree
    // was started in.
    for (const pb::Process* kid : children_[p.pid()]) {
      auto need = needed_birth_session(*kid);
      if (!need || *need == p.pid()) continue;
      if (is_ancestor(*need, p.pid()) || *need == started_in_) return need;
    }
    return std::nullopt;
  }

  bool is_ancestor(Pid ancestor, Pid pid) const {
    for (auto it = all_.find(pid); it != all_.end(); it = all_.find(it->second->parent_pid()))
      if (it->second->parent_pid() == ancestor) return true;
    return false;
  }

  Result<Pid> session_helper(const pb::Process& parent, Pid session) {
    for (const auto& helper : planning_.helpers) {
      if (helper.pid != session) continue;
      if (helper.parent == parent.pid()) return session;
      return fail(Error::unsupported(
          fmt::format("session {}: its leader is gone and its members have different parents ({} and {})",
                      session, helper.parent, parent.pid())));
    }
    plan_.op(Op::Code::Fork, parent.pid(), {session, SIGCHLD}, "stands in for a session leader that is gone");
    note_birth(session, parent.pid());
    plan_.call(session, SYS_setsid, {});
    planning_.helpers.push_back({.pid = session, .parent = parent.pid(), .session = true});
    return session;
  }

  Planning& planning_;
  PlanBuilder& plan_;
  std::unordered_map<Pid, std::vector<const pb::Process*>> children_;
  std::unordered_map<Pid, const pb::Process*> all_;
  std::set<Pid> made_;
  std::optional<Pid> started_in_;  // a session outside of the tree
};

// The processes that live in a group, and whether its leader does.
struct Group {
  Pid session = 0;
  std::vector<const pb::Process*> members;
  bool has_leader = false;
};

std::map<Pid, Group> groups_of(const Model& model) {
  std::map<Pid, Group> groups;
  for (const pb::Process& p : model.tasks.processes()) {
    Group& group = groups[p.pgid()];
    group.session = p.sid();
    if (p.pgid() == p.pid())
      group.has_leader = true;
    else
      group.members.push_back(&p);
  }
  return groups;
}

}  // namespace

Result<void> plan_tree(Planning& planning) {
  const pb::Process& root = planning.model().tasks.processes(0);
  if (root.sid() != root.pid() && !planning.policy.shell_job)
    return fail(Error::unsupported(
        fmt::format("pid {}: its session leader {} is outside of the tree (--shell-job takes it)", root.pid(),
                    root.sid())));
  planning.plan.phase("processes", true);
  // A root that leads its session was born in another one, which is not known and which nobody else is in.
  return TreePlanner(planning).grow(root, root.sid() == root.pid() ? 0 : root.sid());
}

Result<void> plan_late_child(Planning& planning, const pb::Process& child) {
  const pb::Process* parent = planning.plan.index().process(child.parent_pid());
  if (parent == nullptr)
    return fail(Error::bug(fmt::format("pid {}: late child without parent", child.pid())));
  return TreePlanner(planning).fork_in_session(*parent, child, parent->sid());
}

void plan_groups(Planning& planning) {
  PlanBuilder& plan = planning.plan;
  plan.phase("process groups", true);
  const pb::Process& root = planning.model().tasks.processes(0);
  for (auto& [pgid, group] : groups_of(planning.model())) {
    bool helper = std::ranges::any_of(planning.helpers, [&](auto& h) { return h.pid == pgid; });
    bool outside = pgid == root.pgid() && !group.has_leader && root.sid() != root.pid();
    if (outside && !helper) continue;  // the caller's group, in which everything was born
    if (group.has_leader) {
      const pb::Process* leader = plan.index().process(pgid);
      if (leader->sid() != pgid) plan.call(pgid, SYS_setpgid, {0, 0}, "group");
    } else if (!helper) {
      Actor maker = group.members.front()->pid();
      plan.op(Op::Code::Fork, maker, {pgid, SIGCHLD}, "stands in for a group leader that is gone");
      plan.call(pgid, SYS_setpgid, {0, 0});
      planning.helpers.push_back({pgid, maker});
    }
    for (const pb::Process* member : group.members) plan.call(member->pid(), SYS_setpgid, {0, pgid}, "group");
  }
}

Result<void> plan_file_helpers(Planning& planning, bool early) {
  PlanBuilder& plan = planning.plan;
  const Actor root = planning.model().tasks.processes(0).pid();
  plan.phase("processes that are gone", true);
  for (const pb::File& file : planning.model().files.files()) {
    const std::uint32_t pid = kinds::process_to_stand_in_for(file);
    if (pid == 0) continue;
    for (const pb::Process& process : planning.model().tasks.processes())
      for (const pb::Thread& thread : process.threads())
        if (process.pid() == pid || thread.tid() == pid)
          return fail(Error::bad_image(fmt::format("process {} is gone, and is not", pid)));
    auto found = std::ranges::find(planning.helpers, pid, &Planning::Helper::pid);
    if (found != planning.helpers.end()) {
      found->for_files = true;
      continue;
    }
    // Who stands in for a leader as well is made when that one is needed, and where.
    bool leads = std::ranges::any_of(planning.model().tasks.processes(), [&](const pb::Process& process) {
      return process.sid() == pid || process.pgid() == pid;
    });
    if (early && leads) continue;
    plan.op(Op::Code::Fork, root, {pid, SIGCHLD}, "stands in for a process whose files are open");
    planning.helpers.push_back({.pid = pid, .parent = root, .for_files = true});
  }
  return {};
}

void plan_helpers_end(Planning& planning, bool for_files) {
  planning.plan.phase("helpers end", true);
  for (const auto& helper : planning.helpers) {
    if (helper.for_files != for_files) continue;
    planning.plan.op(Op::Code::Exit, helper.pid, {0});
    planning.plan.call_expecting(helper.parent, helper.pid, SYS_wait4, {helper.pid, 0, __WALL, 0});
  }
}

void plan_threads(Planning& planning, const pb::Process& process) {
  for (int i = 1; i < process.threads_size(); i++)
    planning.plan.op(Op::Code::Thread, process.pid(), {process.threads(i).tid()});
}

}  // namespace bpfckpt::restore
