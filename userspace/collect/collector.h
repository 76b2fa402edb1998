// SPDX-License-Identifier: Apache-2.0
// The collector: what the kernel knows of a process tree, through BPF iterators.
//
// It has no side effect on the tasks that it looks at, running or stopped. Life of a collector:
//   open()      before the freeze: programs loaded, or taken from the cache in bpffs
//   tree()      in the freeze loop, as often as needed: who belongs to the tree
//   collect()   with the tree frozen: raw records only
//   to_model()  whenever there is time: records become the model
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "collect/records.h"
#include "model/model.h"
#include "model/special_mapping.h"

namespace bpfckpt {

namespace collect {
class LateDetails;
class Snapshot;
}  // namespace collect

// One thread, in short. Numbers are in the reader's pid namespace.
struct TaskSummary {
  std::uint32_t tid = 0;
  std::uint32_t tgid = 0;
  std::uint32_t real_parent = 0;  // tgid of the real parent
  std::uint32_t tracer = 0;       // tgid of the tracer; 0: not traced
  std::uint32_t pgid = 0;
  std::uint32_t sid = 0;
  std::uint32_t state =
      0;  // task_struct.__state: 0 running, 1 interruptible, 2 uninterruptible, 4 stopped, 8 traced
  std::uint32_t exit_state = 0;    // not 0: a zombie (0x20) or dead (0x10)
  std::uint32_t task_flags = 0;    // PF_*
  std::uint32_t signal_flags = 0;  // SIGNAL_STOP_STOPPED 1, SIGNAL_GROUP_EXIT 4
  std::uint64_t jobctl = 0;
  std::string comm;

  bool zombie() const { return exit_state != 0; }
  bool exiting() const { return (task_flags & 0x4) != 0; }               // PF_EXITING
  bool kernel_thread() const { return (task_flags & 0x00200000) != 0; }  // PF_KTHREAD
  bool group_stopped() const { return (signal_flags & 1) != 0; }
  bool uninterruptible() const { return (state & 2) != 0; }
};

class Collector {
 public:
  struct Options {
    bool use_cache = true;  // pin programs in bpffs, and take pinned ones
  };

  // Loads the programs or takes them from the cache. `loaded_from_cache()` says which.
  static Result<Collector> open(const Options& options);
  static Result<Collector> open() { return open(Options{}); }
  Collector(Collector&&) noexcept;
  Collector& operator=(Collector&&) noexcept;
  ~Collector();

  bool from_cache() const;

  // All threads of `root` and of its descendants (by real parent): parents before children, the threads of a
  // process together with the leader first. Error::TargetGone if there is no such process.
  Result<std::vector<TaskSummary>> tree(pid_t root);
  // All threads that this pid namespace shows, kernel threads left out.
  Result<std::vector<TaskSummary>> all();

  // Everything about the processes `tgids`: tasks, files, mappings. Nothing is converted. Of running
  // processes, those that go meanwhile are left out; of frozen ones that is an error.
  enum class Tasks { Frozen, Running };
  Result<collect::Records> collect(std::span<const pid_t> tgids, Tasks tasks = Tasks::Frozen);
  // The same of running processes, of what one pass over the whole machine said. Of all but the first
  // `in_full` of them the mappings come in short (collect/outline.h).
  Result<collect::Snapshot> snapshot();
  Result<collect::Records> collect(std::span<const pid_t> tgids, const collect::Snapshot& snapshot,
                                   std::size_t in_full);
  // Gives the memory of records that are done with to the next collect(): a look at the running tree pays for
  // the page faults that the frozen one would have.
  void recycle(collect::Records records);

  // vDSO and its data pages in our own address space: their sizes, and offsets to one another, are the same
  // in every 64-bit process of this boot.
  Result<std::vector<SpecialMapping>> own_special_mappings();

 private:
  struct Impl;
  explicit Collector(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// What the records say, as a model. `root` is the process that becomes the first one with parent_pid 0. What
// BPF cannot see is left for others to fill: registers, xstate, siginfo, sigactions, pages, contents.
//
// Credentials carry what BPF saw of them; Thread.credentials_id tells who shares them. A File stands for one
// struct file, be it open as a descriptor, mapped, or the executable.
//
// `spare`: a model that is done with, whose memory is used again.
Result<Model> to_model(const collect::Records& records, pid_t root, Model spare = {});
// The same without what can wait, which `late` completes. The kinds that are described late are not settled
// yet.
Result<Model> to_model(const collect::Records& records, pid_t root, collect::LateDetails& late);

}  // namespace bpfckpt
