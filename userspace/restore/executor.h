// SPDX-License-Identifier: Apache-2.0
// Carries a plan out: bpfckpt's own operations as system calls, everybody else's as batches of the parasite.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

#include "image/content_check.h"
#include "image/reader.h"
#include "model/special_mapping.h"
#include "plan/plan.h"
#include "target/area.h"
#include "target/batch.h"
#include "target/seized_task.h"
#include "target/stub.h"

namespace bpfckpt::restore {

struct ExecutorOptions {
  bool sibling = false;  // the root becomes a child of bpfckpt's parent
};

// Tells `contents` which blocks of image files the plan's operations FillPages will read as a whole.
void expect_filled(image::ContentCheck& contents, const Plan& plan);

// The tree while it is being made. Every process of it waits in the interpreter, all signals blocked, until
// it is resumed (restore/resume.h). Unless keep() was called, the destructor kills and reaps them all; so
// does the kernel, through the blob, if bpfckpt dies.
class Executor {
 public:
  // `plan`, `reader`, `contents`, `waiter` and `robust` outlive the executor; `plan` is changed (data blocks
  // are filled in). `contents` gets the checksums of what is read here (expect_filled()). `special` are
  // bpfckpt's own special mappings.
  Executor(Plan& plan, const image::ImageReader& reader, image::ContentCheck& contents,
           target::Waiter& waiter, target::RobustList& robust, std::vector<SpecialMapping> special,
           ExecutorOptions options);
  Executor(const Executor&) = delete;
  ~Executor();

  // The whole plan. An error names the operation that failed.
  Result<void> run();

  pid_t root() const { return stub_.pid; }
  const target::Area& area() const { return *area_; }
  // Threads that the plan took under ptrace (Op::Code::Unfilter), for target::hold(); at most once.
  std::map<pid_t, target::SeizedTask> take_seized() { return std::exchange(seized_, {}); }
  // The processes live on without us.
  void keep() { made_.clear(); }

 private:
  class Lane;

  void undo();
  Result<void> start_root();
  Result<void> run_ordered(const Phase& phase);
  Result<void> run_parallel(const Phase& phase);
  Result<void> run_own(OpId id);
  // By all processors, in any order: FillPages, which share nothing.
  Result<void> run_at_once(const std::vector<OpId>& ids);
  Result<std::int64_t> perform(OpId id);
  Result<void> fill(const Op& op);
  Result<Lane*> lane(Actor actor);
  Result<void> begin_actor(Actor tid);
  std::uint64_t own_value(const Operand& operand);
  std::byte* own_block(DataId id);

  Plan& plan_;
  const image::ImageReader& reader_;
  image::ContentCheck& contents_;
  target::Waiter& waiter_;
  target::RobustList& robust_;
  std::vector<SpecialMapping> special_;
  ExecutorOptions options_;
  std::unique_ptr<target::Area> area_;
  target::Stub stub_;
  std::vector<std::int64_t> results_;  // by operation
  std::unordered_map<Actor, std::size_t> slots_;
  std::unordered_map<Actor, std::unique_ptr<Lane>> lanes_;
  struct Made {
    pid_t pid;
    Fd pidfd;
  };
  std::unordered_map<Actor, Made> made_;  // by pid
  std::map<pid_t, target::SeizedTask> seized_;
};

}  // namespace bpfckpt::restore
