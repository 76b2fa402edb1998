// SPDX-License-Identifier: Apache-2.0
#include "restore/planner.h"

#include <linux/close_range.h>
#include <linux/keyctl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <functional>
#include <unordered_map>

#include "model/living_thread.h"
#include "restore/watches_plan.h"

namespace bpfckpt::restore {
namespace {

constexpr std::uint64_t kLowestAddress = 0x10000;          // vm.mmap_min_addr's usual value
constexpr std::uint64_t kHighestAddress = 0x7ffffffff000;  // TASK_SIZE_MAX with four-level page tables

// The largest range that is free in every address space. It takes the control area while the tree is made.
Result<void> choose_arena(Planning& planning) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> used;
  for (const pb::AddressSpace& mm : planning.model().memory.address_spaces())
    for (const pb::Vma& vma : mm.vmas()) {
      // Room below for a stack to grow, and its guard gap.
      std::uint64_t below = vma.growsdown() ? std::min<std::uint64_t>(vma.start(), 16 << 20) : 0;
      used.emplace_back(vma.start() - below, vma.end());
    }
  std::ranges::sort(used);
  std::uint64_t at = kLowestAddress, best_start = 0, best_len = 0;
  auto consider = [&](std::uint64_t end) {
    if (end > at && end - at > best_len) {
      best_start = at;
      best_len = end - at;
    }
  };
  for (auto& [start, end] : used) {
    consider(std::min(start, kHighestAddress));
    at = std::max(at, end);
  }
  consider(kHighestAddress);

  std::uint64_t special = 0;
  auto mappings = planning.plan.environment().special_mappings();
  if (!mappings.empty()) special = mappings.back().end - mappings.front().start;
  constexpr std::uint64_t kMost = std::uint64_t{4} << 30;
  if (best_len < special + (64 << 20))
    return fail(Error::unsupported("no range of addresses is free in all processes of the tree"));
  // From the middle: far from where the kernel puts what it maps by itself.
  std::uint64_t len = std::min(best_len / 2, kMost) & ~0xfffful;
  Plan& plan = planning.plan.plan();
  plan.arena_base = (best_start + (best_len - len) / 2) & ~0xfffful;
  plan.arena_end = plan.arena_base + len;
  plan.staging_base = plan.arena_end - special;
  return {};
}

// The highest number that no process of the tree uses.
Result<void> choose_channel(Planning& planning) {
  std::set<std::uint32_t> used;
  for (const pb::FdTable& table : planning.model().files.tables())
    for (const pb::FdEntry& entry : table.entries()) used.insert(entry.fd());
  for (int fd = planning.plan.environment().descriptor_limit() - 1; fd >= 0; fd--) {
    if (used.contains(static_cast<std::uint32_t>(fd))) continue;
    planning.plan.plan().channel_fd = fd;
    return {};
  }
  return fail(Error::conflict("the limit of open files leaves no descriptor free"));
}

bool lives(const pb::Process& process) {
  return process.state() != pb::ZOMBIE;
}

// Processes that set up an address space: one for each.
std::vector<const pb::Process*> memory_owners(const Model& model) {
  std::vector<const pb::Process*> owners;
  std::set<std::uint32_t> seen;
  for (const pb::Process& process : model.tasks.processes())
    if (lives(process) && process.mm_id() != 0 && seen.insert(process.mm_id()).second)
      owners.push_back(&process);
  return owners;
}

// bpfckpt may have been started with ignored signals, which an exec does not change.
void plan_root(Planning& planning) {
  PlanBuilder& plan = planning.plan;
  Actor root = plan.plan().root;
  plan.phase("root");
  Operand standard = Operand::data(plan.zeroes(32));
  for (int signal = 1; signal <= 64; signal++)
    if (signal != SIGKILL && signal != SIGSTOP) plan.call(root, SYS_rt_sigaction, {signal, standard, 0, 8});
  // So is what follows inherited, and set again only where the process had it. Not every kernel has all of
  // it.
  plan.try_call(root, SYS_prctl, {PR_MCE_KILL, PR_MCE_KILL_CLEAR, 0, 0, 0}, "machine-check policy");
  plan.try_call(root, SYS_prctl, {PR_SET_THP_DISABLE, 0, 0, 0, 0}, "huge pages");
  plan.try_call(root, SYS_prctl, {67 /*PR_SET_MEMORY_MERGE*/, 0, 0, 0, 0}, "merging of pages");
  plan.try_call(root, SYS_ioprio_set, {1 /*IOPRIO_WHO_PROCESS*/, 0, 0}, "io priority");
  plan_no_clamps(plan, root);
  // The keys of who restores are not for a tree that was not of the same session; one of its own is empty.
  if (wants_session_keyring(planning.model()) && plan.environment().can_join_session_keyring())
    plan.call(root, SYS_keyctl, {KEYCTL_JOIN_SESSION_KEYRING, 0}, "session keyring");
}

// `plan_one` is called for one process of each address space, when it exists.
Result<void> plan_by_generations(Planning& planning,
                                 const std::function<Result<void>(const pb::Process&)>& plan_one) {
  std::vector<const pb::Process*> waiting = memory_owners(planning.model());
  const ModelIndex& index = planning.plan.index();
  const auto is_filled = [&](const pb::Process& p) { return planning.filled.contains(p.mm_id()); };
  while (!waiting.empty()) {
    std::vector<const pb::Process*> now, later;
    for (const pb::Process* process : waiting) {
      bool ready =
          !planning.late.contains(process->pid()) || is_filled(*index.process(process->parent_pid()));
      // A process below one that does not exist yet has to wait as well.
      for (const pb::Process* up = process; ready && up->parent_pid() != 0;) {
        up = index.process(up->parent_pid());
        if (planning.late.contains(up->pid()) && !is_filled(*up)) ready = false;
      }
      (ready ? now : later).push_back(process);
    }
    if (now.empty()) return fail(Error::bug("processes wait for one another's memory"));
    planning.plan.phase("children that share pages", true);
    for (const pb::Process* process : now)
      if (planning.late.contains(process->pid())) TRY(plan_late_child(planning, *process));
    planning.plan.phase("memory");
    for (const pb::Process* process : now) TRY(plan_one(*process));
    plan_pages(planning, now);
    for (const pb::Process* process : now) planning.filled.insert(process->mm_id());
    waiting = std::move(later);
  }
  return {};
}

// Bytes of the blocks that an operand leads to.
std::uint32_t data_bytes(const Plan& plan, const Operand& operand) {
  if (operand.type != Operand::Type::Data) return 0;
  const DataBlock& block = plan.data[operand.index];
  std::uint32_t total = static_cast<std::uint32_t>(block.bytes.size() + 15) & ~15u;
  for (const Fixup& fixup : block.fixups) total += data_bytes(plan, fixup.operand);
  return total;
}

void assign_slots(Planning& planning) {
  Plan& plan = planning.plan.plan();
  for (const pb::Process& process : planning.model().tasks.processes())
    for (const pb::Thread& thread : process.threads()) plan.slots.push_back({thread.tid(), process.pid()});
  for (const auto& helper : planning.helpers) plan.slots.push_back({helper.pid, helper.pid});

  std::unordered_map<Actor, std::uint32_t> needed;
  for (const Op& op : plan.ops) {
    std::uint32_t total = 0;
    for (const Operand& arg : op.args) total += data_bytes(plan, arg);
    std::uint32_t& most = needed[op.actor];
    most = std::max(most, total);
  }
  for (Plan::Slot& slot : plan.slots) slot.data_bytes = needed[slot.tid];
}

}  // namespace

bool wants_session_keyring(const Model& model) {
  return std::ranges::any_of(model.tasks.credentials(),
                             [](const pb::Credentials& it) { return it.own_session_keyring(); });
}

Result<Plan> make_plan(const Model& model, const RestorePolicy& policy, const Environment& environment) {
  TRY(check_clamps(model, environment));
  ModelIndex index(model);
  PlanBuilder builder(model, index, environment);
  Planning planning{builder, policy, find_late_children(model, index)};
  builder.plan().root = model.tasks.processes(0).pid();
  TRY(choose_arena(planning));
  TRY(choose_channel(planning));
  const auto& processes = model.tasks.processes();

  plan_root(planning);
  TRY(plan_old_vdso(planning));
  TRY(plan_tree(planning));
  TRY(plan_file_helpers(planning, true));
  TRY(plan_removed_places(planning));
  find_mapped_locks(planning);
  TRY(plan_segments(planning));
  TRY(plan_mapped_files(planning));
  TRY(plan_by_generations(planning,
                          [&](const pb::Process& process) { return plan_memory(planning, process); }));
  plan_groups(planning);
  TRY(plan_file_helpers(planning, false));
  builder.phase("threads");
  for (const pb::Process& process : processes) plan_threads(planning, process);
  plan_helpers_end(planning, false);
  builder.phase("memory, last touches");
  for (const pb::Process* process : memory_owners(model)) TRY(plan_memory_end(planning, *process));
  builder.phase("seals");
  for (const pb::Process* process : memory_owners(model)) plan_seals(planning, *process);
  TRY(plan_files(planning));
  plan_helpers_end(planning, true);
  TRY(plan_objects_end(planning));
  builder.phase("mapped files made");
  builder.release_mapped();
  TRY(plan_leases(planning));
  plan_zombies(planning);
  plan_drain_sigchld(planning);
  plan_seccomp(planning);
  plan_label_files(planning);
  builder.phase("state");
  for (const pb::Process& process : processes) {
    if (!lives(process)) continue;
    plan_process_state(planning, process);
    for (const pb::Thread& thread : process.threads()) plan_thread_state(planning, process, thread);
  }
  TRY(plan_locks(planning));
  TRY(plan_watches(planning));
  builder.phase("last");
  std::set<std::uint32_t> tables;  // processes may share one (CLONE_FILES)
  for (const pb::Process& process : processes) {
    if (!lives(process)) continue;
    plan_process_end(planning, process);
    if (tables.insert(process.fd_table_id()).second)
      builder.call(process.pid(), SYS_close, {builder.plan().channel_fd}, "nothing of ours stays");
    if (leader_is_gone(process))
      builder.op(Op::Code::ExitThread, process.pid(), {process.exit_code() >> 8 & 0xff},
                 "the leader had ended");
  }
  plan_labels(planning);
  TRY(plan_segments_end(planning));
  plan_names_end(planning);
  assign_slots(planning);
  return builder.finish();
}

Result<void> check_room(const Model& model, int most_mappings) {
  // The control area's code and data, and what a change of protection splits in two for a moment.
  constexpr int kBesides = 6;
  ModelIndex index(model);
  for (const pb::Process& process : model.tasks.processes())
    if (const pb::AddressSpace* mm = index.address_space(process.mm_id());
        mm != nullptr && mm->vmas_size() + kBesides > most_mappings)
      return fail(Error::unsupported(
          fmt::format("pid {}: it has {} mappings, and a restore needs room for {} more than that (a higher "
                      "vm.max_map_count, now {}, helps)",
                      process.pid(), mm->vmas_size(), kBesides, most_mappings)));
  return {};
}

Result<void> check_shape(const Model& model, const RestorePolicy& policy, const Environment& environment) {
  ModelIndex index(model);
  PlanBuilder builder(model, index, environment);
  Planning planning{builder, policy, find_late_children(model, index)};
  builder.plan().root = model.tasks.processes(0).pid();
  TRY(choose_arena(planning));
  TRY(choose_channel(planning));
  TRY(plan_tree(planning));
  return plan_by_generations(planning, [&](const pb::Process& process) -> Result<void> {
    TRY(check_special_mappings(environment, policy, *index.address_space(process.mm_id())), "pid {}",
        process.pid());
    return {};
  });
}

}  // namespace bpfckpt::restore
