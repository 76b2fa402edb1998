// SPDX-License-Identifier: Apache-2.0
#include "diagnose/look.h"

#include <time.h>

#include <algorithm>
#include <set>
#include <tuple>

#include "kinds/marks.h"
#include "kinds/sysv_shm.h"

namespace bpfckpt::diagnose {
namespace {

// Who is said to share a lock may be a thread of the tree in the middle of a system call
// (collect/build_locks.cc), and who has a segment attached a process of the tree that was made since: only
// what several looks agree on is so.
constexpr int kMoreLooks = 3;
constexpr timespec kBetweenLooks{0, 500'000};

using LockKey = std::tuple<int, std::uint64_t, std::uint32_t, std::uint64_t>;

LockKey key_of(const pb::FileLock& lock, const ModelIndex& index) {
  const pb::File* file = index.file(lock.file_id());
  return {lock.kind(), file == nullptr ? 0 : file->inode().number(),
          file == nullptr ? 0 : file->inode().device(), lock.start()};
}

std::set<LockKey> shared_locks(const Model& model) {
  const ModelIndex index(model);
  std::set<LockKey> shared;
  for (const pb::FileLock& lock : model.files.locks())
    if (lock.outside_holders() != 0) shared.insert(key_of(lock, index));
  return shared;
}

Result<std::vector<pid_t>> processes_of(Collector& collector, pid_t root) {
  TRY_ASSIGN(std::vector<TaskSummary> tasks, collector.tree(root));
  std::vector<pid_t> processes;
  for (const TaskSummary& task : tasks)
    if (task.tid == task.tgid) processes.push_back(static_cast<pid_t>(task.tgid));
  if (processes.empty()) return fail(Error::target_gone(fmt::format("pid {}: no such process", root)));
  return processes;
}

Result<Model> model_of(Collector& collector, Result<collect::Records> records, pid_t root, Model spare = {}) {
  if (!records) return fail(std::move(records.error()));
  auto model = to_model(*records, root, std::move(spare));
  collector.recycle(std::move(*records));
  return model;
}

Result<Model> model_of(Collector& collector, const std::vector<pid_t>& processes) {
  return model_of(collector, collector.collect(processes, Collector::Tasks::Running), processes.front());
}

// Ids of segments that somebody else has attached, too.
std::set<std::uint32_t> shared_segments(const Model& model) {
  std::set<std::uint32_t> shared;
  for (const pb::FileObject& object : model.files.objects())
    if (auto segment = kinds::seen_segment(object); segment && segment->outside() != 0)
      shared.insert(segment->id());
  return shared;
}

// Those of `shared` alone are attached by others; none of the rest is.
void set_shared_segments(Model& model, const std::set<std::uint32_t>& shared) {
  for (pb::FileObject& object : *model.files.mutable_objects())
    if (auto segment = kinds::seen_segment(object); segment && !shared.contains(segment->id())) {
      segment->set_outside(0);
      object.mutable_detail()->PackFrom(*segment);
    }
}

Result<void> confirm_shared(Collector& collector, pid_t root, Model& model) {
  std::set<LockKey> locks = shared_locks(model);
  std::set<std::uint32_t> segments = shared_segments(model);
  for (int i = 0; i < kMoreLooks && !(locks.empty() && segments.empty()); i++) {
    ::nanosleep(&kBetweenLooks, nullptr);
    TRY_ASSIGN(const std::vector<pid_t> processes, processes_of(collector, root));
    TRY_ASSIGN(const Model again, model_of(collector, processes));
    const std::set<LockKey> locks_now = shared_locks(again);
    const std::set<std::uint32_t> segments_now = shared_segments(again);
    std::erase_if(locks, [&](const LockKey& key) { return !locks_now.contains(key); });
    std::erase_if(segments, [&](std::uint32_t id) { return !segments_now.contains(id); });
  }
  const ModelIndex index(model);
  for (pb::FileLock& lock : *model.files.mutable_locks())
    if (!locks.contains(key_of(lock, index))) lock.set_outside_holders(0);
  set_shared_segments(model, segments);
  return {};
}

}  // namespace

Result<Model> look(Collector& collector, pid_t root) {
  TRY_ASSIGN(const std::vector<pid_t> processes, processes_of(collector, root));
  TRY_ASSIGN(Model model, model_of(collector, processes));
  TRY(confirm_shared(collector, root, model));
  TRY(kinds::look_up_targets(model));
  return model;
}

Result<Model> look(Collector& collector, const collect::Snapshot* snapshot, std::span<const pid_t> processes,
                   std::size_t in_full, Model spare) {
  auto records = snapshot != nullptr ? collector.collect(processes, *snapshot, in_full)
                                     : collector.collect(processes, Collector::Tasks::Running);
  TRY_ASSIGN(Model model, model_of(collector, std::move(records), processes.front(), std::move(spare)));
  TRY(kinds::look_up_targets(model));
  return model;
}

}  // namespace bpfckpt::diagnose
