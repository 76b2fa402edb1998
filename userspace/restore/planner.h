// SPDX-License-Identifier: Apache-2.0
// From model to plan: how a tree is made again. Pure: asks the machine nothing but what Environment answers.
#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "plan/builder.h"
#include "restore/kin.h"

namespace bpfckpt::restore {

// What the user asked of a restore, as far as it changes the plan.
struct RestorePolicy {
  bool shell_job = false;  // the session and the terminal are the caller's
  // The root's parent, bpfckpt, ends as soon as the tree runs.
  bool parent_ends = false;
  // A file that the caller gives, by what it was called at dump ("pipe:[4711]", "file[mnt:ino]",
  // "tty[rdev:dev]", a path): the descriptor of bpfckpt's to use.
  std::map<std::string, int> inherited;
  // Files that the dump left outside (--external): they must be inherited.
  std::vector<std::string> external;
  // The vDSO of the kernel on which the tree was taken, where it is not this one's (kernel/vdso.h).
  std::vector<std::byte> old_vdso;
  // This kernel's: of bpfckpt itself, and so of every process that it starts; empty: there is none.
  std::span<const std::byte> vdso;
  // Does private memory get transparent huge pages here without being advised to?
  bool huge_pages_unasked = false;
  // Is there userfaultfd(2)? By it bpfckpt puts pages into large address spaces.
  bool userfaultfd = false;
};

// State that the planners of one tree share.
struct Planning {
  PlanBuilder& plan;
  const RestorePolicy& policy;
  LateChildren late;
  // Processes that exist only to hold a session or a group whose leader is gone: their number, by whom they
  // are made, and who their parent is.
  struct Helper {
    std::uint32_t pid = 0;
    std::uint32_t parent = 0;
    bool session = false;
    bool for_files = false;  // a file of proc shows it: it lasts until the files are made
  };
  std::vector<Helper> helpers{};
  // Address spaces (ids) whose mappings and pages are in place at this point of the plan; and whose each
  // process came out of its fork with, its own being empty until then: 0 for nothing.
  std::set<std::uint32_t> filled{};
  std::map<std::uint32_t, std::uint32_t> born_with{};
  std::set<std::uint32_t> fs_contexts_made{};
  // bpfckpt's descriptor of what stands in the place of another kernel's vDSO.
  std::optional<Operand> old_vdso{};
  // Working directories that have no name any more: bpfckpt's descriptors, by device and inode.
  std::map<std::pair<std::uint32_t, std::uint64_t>, Operand> removed_directories{};
  // flock(2) of descriptions that only mappings have open: F_RDLCK or F_WRLCK, by the file and by whether it
  // is opened for writing.
  std::map<std::pair<std::uint32_t, bool>, std::uint32_t> mapped_locks{};
  // System V segments, by object: where bpfckpt itself has them attached while the tree is made, and whether
  // they were there before.
  struct Segment {
    Operand at;
    bool existed = false;
  };
  std::map<std::uint32_t, Segment> segments{};
  // By which descriptor of its own a thread asks for its label.
  std::map<std::uint32_t, OpId> label_files{};

  const Model& model() const { return plan.model(); }
};

// The whole plan. Fails with Unsupported where the tree's shape cannot be made again.
Result<Plan> make_plan(const Model& model, const RestorePolicy& policy, const Environment& environment);

// Whether there will be a plan, as far as processes and the room between their mappings go: asked by a dump
// while the tree still lives. Of a running tree, whose pages are not known, this can be too hopeful.
Result<void> check_shape(const Model& model, const RestorePolicy& policy, const Environment& environment);
// Whether each process leaves room for the mappings that a restore needs besides: `most_mappings` is what a
// process may have (vm.max_map_count).
Result<void> check_room(const Model& model, int most_mappings);

// --- the planners, in the order in which make_plan() calls them
// ------------------------------------------------------

// tree_plan.cc: processes by fork, sessions, groups; those of `late` are left for plan_late_child().
Result<void> plan_tree(Planning& planning);
// Forks one late child and everything below it that is not late itself.
Result<void> plan_late_child(Planning& planning, const pb::Process& child);
// Groups are joined when all leaders exist; helpers go.
void plan_groups(Planning& planning);
void plan_helpers_end(Planning& planning, bool for_files);
// Stand-ins for processes that are gone and whose files of proc are open. Once `early`, while the root is
// tiny and quickly forked, and once when all others who stand in for somebody are known.
Result<void> plan_file_helpers(Planning& planning, bool early);
// Threads of one process.
void plan_threads(Planning& planning, const pb::Process& process);

// memory_plan.cc, vdso_plan.cc (special mappings), memory_end_plan.cc (the end, and seals)
Result<void> plan_mapped_files(Planning& planning);
// Precondition: the process was forked, and so is in `born_with`, unless it is the root.
Result<void> plan_memory(Planning& planning, const pb::Process& process);
// Conflict: the special mappings of this kernel cannot be what the process had.
Result<void> check_special_mappings(const Environment& environment, const RestorePolicy& policy,
                                    const pb::AddressSpace& mm);
// What stands in the place of another kernel's vDSO, if the tree comes from one.
Result<void> plan_old_vdso(Planning& planning);
// pages_plan.cc: what is in their mappings, which are made in the phase that is open; at most one process of
// an address space.
void plan_pages(Planning& planning, const std::vector<const pb::Process*>& processes);
// What must come after the last fork and the last page: madvise flags, locks, mm fields.
Result<void> plan_memory_end(Planning& planning, const pb::Process& process);
// Seals: nothing can be changed afterwards.
void plan_seals(Planning& planning, const pb::Process& process);

// places_plan.cc
// Directories without a name, and what was deleted in them.
Result<void> plan_removed_places(Planning& planning);
// Names that were there for the time of the checkpoint only.
void plan_names_end(Planning& planning);

// segments_plan.cc: System V segments, when the processes are there that are forked early.
Result<void> plan_segments(Planning& planning);
// What of an address space is attached and not in `common` (what it has from its parent, whose space that is;
// null: none); in the phase that is open.
Result<void> plan_attachments(Planning& planning, Actor pid, const pb::AddressSpace& mm,
                              const pb::AddressSpace* parent_mm, const std::vector<Range>& common);
// When everybody has attached what they had.
Result<void> plan_segments_end(Planning& planning);

// aio_plan.cc: when all mappings are made, and no fork comes that would inherit the rings.
Result<void> plan_aio_rings(Planning& planning, const pb::Process& process, const pb::AddressSpace& mm);

// files_plan.cc
Result<void> plan_files(Planning& planning);
// Objects behind mappings get what would have been in the way (seals).
Result<void> plan_objects_end(Planning& planning);

// F_SETOWN and F_SETSIG of the description behind bpfckpt's `fd`. Precondition: there is an owner.
void plan_owner(PlanBuilder& plan, const pb::FileOwner& owner, Operand fd);

// locks_plan.cc
void find_mapped_locks(Planning& planning);
Result<void> plan_leases(Planning& planning);
// All other locks: when no process closes a file any more.
Result<void> plan_locks(Planning& planning);

// seccomp_plan.cc
void plan_seccomp(Planning& planning);

// labels_plan.cc: labels of AppArmor. Once before anybody leaves the root directory, and once when nobody has
// anything left to do that a profile might forbid.
void plan_label_files(Planning& planning);
void plan_labels(Planning& planning);

// Whether the tree was of another session than who dumped it, as far as keys go.
bool wants_session_keyring(const Model& model);

// state_plan.cc
// Error::MissingFeature: somebody has utilization clamps, and this kernel has none.
Result<void> check_clamps(const Model& model, const Environment& environment);
// The root begins without utilization clamps of bpfckpt's.
void plan_no_clamps(PlanBuilder& plan, Actor root);
void plan_process_state(Planning& planning, const pb::Process& process);
void plan_thread_state(Planning& planning, const pb::Process& process, const pb::Thread& thread);
// After every thread has its credentials.
void plan_process_end(Planning& planning, const pb::Process& process);
void plan_zombies(Planning& planning);
// Children that were made only to end left signals behind.
void plan_drain_sigchld(Planning& planning);

}  // namespace bpfckpt::restore
