// SPDX-License-Identifier: Apache-2.0
// One thread's part of a phase: its operations, lowered to batches of its slot.
#pragma once

#include <deque>

#include "restore/executor.h"

namespace bpfckpt::restore {

class Executor::Lane {
 public:
  // `pidfd` is borrowed: of the process that the thread belongs to.
  Lane(Executor& executor, target::SlotView slot, int pidfd, pid_t pid)
      : executor_(executor), batch_(slot), watch_(pidfd, pid) {}

  void give(const std::vector<OpId>& ops) { todo_.insert(todo_.end(), ops.begin(), ops.end()); }
  bool idle() const { return todo_.empty() && current_.empty(); }

  // Lowers as many operations as the slot has room for and hands them over.
  Result<void> submit();
  // Waits for what was submitted and keeps the results.
  Result<void> finish();

  // For steps that are in no plan.
  target::Batch& batch() { return batch_; }
  Result<void> run_now() {
    TRY(batch_.run(watch_));
    batch_.clear();
    return {};
  }
  Result<void> wait_alive() { return batch_.wait_alive(watch_); }

 private:
  struct Pending {
    OpId op;
    target::Entry entry;
  };
  enum class Lowered { Done, NoRoom, NeedsResults };

  Result<Lowered> lower(OpId id);
  Result<Lowered> lower_repeated(const Op& repeat);
  bool in_batch(OpId id) const;
  // True if a data block that the operation needs holds a result that is not known yet.
  bool waits_for_results(const Operand& operand) const;
  std::size_t data_bytes(const Operand& operand) const;
  target::Arg arg(const Operand& operand);
  target::RemoteAddress block(DataId id);
  std::uint64_t value(const Operand& operand);
  target::Entry lower_clone(const Op& op, std::uint64_t flags, int exit_signal);
  Result<void> submit_exit(const Op& op);

  Executor& executor_;
  target::Batch batch_;
  target::PidfdWatch watch_;
  std::deque<OpId> todo_;
  std::vector<Pending> current_;
  std::unordered_map<DataId, target::RemoteAddress> blocks_;  // in the present batch
  bool exiting_ = false;
  bool leaves_process_ = false;
};

}  // namespace bpfckpt::restore
