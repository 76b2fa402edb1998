// SPDX-License-Identifier: Apache-2.0
#include "restore/lane.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>

namespace bpfckpt::restore {
namespace {

constexpr std::uint64_t kThreadFlags =
    CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
constexpr std::size_t kEntriesPerExit = 5;

}  // namespace

bool Executor::Lane::in_batch(OpId id) const {
  return std::ranges::any_of(current_, [&](const Pending& p) { return p.op == id; });
}

bool Executor::Lane::waits_for_results(const Operand& operand) const {
  if (operand.type == Operand::Type::Wide) return blocks_.contains(operand.index);
  if (operand.type != Operand::Type::Data) return false;
  for (const Fixup& fixup : executor_.plan_.data[operand.index].fixups) {
    if (fixup.operand.type == Operand::Type::Result && in_batch(fixup.operand.index)) return true;
    if (fixup.operand.type == Operand::Type::Field && blocks_.contains(fixup.operand.index)) return true;
    if (waits_for_results(fixup.operand)) return true;
  }
  return false;
}

std::size_t Executor::Lane::data_bytes(const Operand& operand) const {
  if (operand.type != Operand::Type::Data || blocks_.contains(operand.index)) return 0;
  const DataBlock& data = executor_.plan_.data[operand.index];
  std::size_t total = (data.bytes.size() + 15) & ~std::size_t{15};
  for (const Fixup& fixup : data.fixups) total += data_bytes(fixup.operand);
  return total;
}

// A value that is known now: nothing of the present batch.
std::uint64_t Executor::Lane::value(const Operand& operand) {
  switch (operand.type) {
    case Operand::Type::Data:
      return block(operand.index).value() + operand.value;
    case Operand::Type::Value:
    case Operand::Type::Result:
    case Operand::Type::Field:
    case Operand::Type::Wide:
      break;
  }
  return executor_.own_value(operand);
}

// Precondition: room was seen to be there (data_bytes()).
target::RemoteAddress Executor::Lane::block(DataId id) {
  if (auto it = blocks_.find(id); it != blocks_.end()) return it->second;
  const DataBlock& data = executor_.plan_.data[id];
  std::vector<std::byte> bytes = data.bytes;
  for (const Fixup& fixup : data.fixups) {
    std::uint64_t v = value(fixup.operand);
    std::memcpy(bytes.data() + fixup.offset, &v, fixup.width);
  }
  auto address = batch_.put(bytes).value_or(target::RemoteAddress());
  blocks_.emplace(id, address);
  return address;
}

target::Arg Executor::Lane::arg(const Operand& operand) {
  if (operand.type == Operand::Type::Result) {
    auto it = std::ranges::find(current_, operand.index, &Pending::op);
    if (it != current_.end()) return target::Ref{it->entry, static_cast<std::int64_t>(operand.value)};
  }
  if (operand.type == Operand::Type::Field) {
    auto it = blocks_.find(operand.index);
    if (it != blocks_.end()) return target::IntAt{it->second + operand.value};
  }
  return value(operand);
}

target::Entry Executor::Lane::lower_clone(const Op& op, std::uint64_t flags, int exit_signal) {
  pid_t tid = static_cast<pid_t>(op.args[0].value);
  clone_args args{};
  args.flags = flags;
  args.exit_signal = static_cast<std::uint64_t>(exit_signal);
  args.set_tid = batch_.put(tid)->value();
  args.set_tid_size = 1;
  auto address = batch_.put(args);
  return batch_.clone(*address, sizeof args, executor_.area_->slot(executor_.slots_.at(op.args[0].value)));
}

Result<Executor::Lane::Lowered> Executor::Lane::lower(OpId id) {
  const Op& op = executor_.plan_.ops[id];
  std::size_t bytes = op.code == Op::Code::Fork || op.code == Op::Code::Thread ? 128 : 0;
  for (unsigned i = 0; i < op.arg_count; i++) {
    if (waits_for_results(op.args[i])) return Lowered::NeedsResults;
    bytes += data_bytes(op.args[i]);
  }
  if (!batch_.room_for(1, bytes)) {
    if (batch_.empty())
      return fail(Error::bug(
          fmt::format("{}: {} bytes do not fit into its slot", to_text(executor_.plan_, id), bytes)));
    return Lowered::NoRoom;
  }
  target::Entry entry;
  switch (op.code) {
    case Op::Code::Call:
      entry = batch_.call(op.number, arg(op.args[0]), arg(op.args[1]), arg(op.args[2]), arg(op.args[3]),
                          arg(op.args[4]), arg(op.args[5]));
      break;
    case Op::Code::Add:
      entry = batch_.add(arg(op.args[0]), arg(op.args[1]));
      break;
    case Op::Code::Pull:
      entry = batch_.call(SYS_pidfd_getfd, executor_.plan_.channel_fd, arg(op.args[0]), 0);
      break;
    case Op::Code::Fork: {
      // The low byte of the flags is the exit signal, as with clone(2).
      std::uint64_t flags = op.args[1].value;
      entry = lower_clone(op, flags & ~std::uint64_t{CSIGNAL}, static_cast<int>(flags & CSIGNAL));
      break;
    }
    case Op::Code::Thread:
      entry = lower_clone(op, kThreadFlags, 0);
      break;
    default:
      return fail(Error::bug(fmt::format("{}: not for a task", to_text(executor_.plan_, id))));
  }
  if (op.may_fail) batch_.ignore(entry);
  if (op.expect != UINT64_MAX) batch_.expect(entry, static_cast<std::int64_t>(op.expect));
  current_.push_back({id, entry});
  return Lowered::Done;
}

// The operations, which follow in todo_, and what makes them be performed again are of one batch.
Result<Executor::Lane::Lowered> Executor::Lane::lower_repeated(const Op& repeat) {
  const std::size_t count = repeat.args[0].value;
  if (count >= todo_.size()) return fail(Error::bug("nothing is there to be repeated"));
  std::size_t bytes = 0;
  for (std::size_t i = 1; i <= count; i++)
    for (const Operand& operand : executor_.plan_.ops[todo_[i]].args) {
      if (waits_for_results(operand)) return Lowered::NeedsResults;
      bytes += data_bytes(operand);
    }
  if (!batch_.room_for(count + 1, bytes)) {
    if (batch_.empty()) return fail(Error::bug("what is repeated does not fit into its slot"));
    return Lowered::NoRoom;
  }
  todo_.pop_front();
  for (std::size_t i = 0; i < count; i++, todo_.pop_front()) TRY(lower(todo_.front()));
  batch_.repeat(count, repeat.args[1].value);
  return Lowered::Done;
}

Result<void> Executor::Lane::submit() {
  while (!todo_.empty()) {
    OpId id = todo_.front();
    if (executor_.plan_.ops[id].code == Op::Code::Repeat) {
      TRY(lower_repeated(executor_.plan_.ops[id]));
      break;  // the last of its batch, or the first of the next: a batch must end in time
    }
    if (executor_.plan_.ops[id].code == Op::Code::Exit) {
      if (!current_.empty()) break;  // in a batch of its own
      todo_.pop_front();
      return submit_exit(executor_.plan_.ops[id]);
    }
    if (executor_.plan_.ops[id].code == Op::Code::ExitThread) {
      if (!current_.empty()) break;
      todo_.pop_front();
      batch_.exit_thread(static_cast<int>(executor_.plan_.ops[id].args[0].value));
      exiting_ = leaves_process_ = true;
      return batch_.submit();
    }
    TRY_ASSIGN(Lowered lowered, lower(id));
    if (lowered != Lowered::Done) break;
    todo_.pop_front();
  }
  return batch_.submit();
}

// Ends as wait4(2) would show it. Nothing comes back from this batch.
Result<void> Executor::Lane::submit_exit(const Op& op) {
  int status = static_cast<int>(op.args[0].value);
  static_assert(kEntriesPerExit <= target::kThreadSlot.entries);
  if (WIFSIGNALED(status)) {
    int signal = WTERMSIG(status);
    rlimit none{0, 0};  // no core file of a process that never was
    std::uint64_t set = ~(std::uint64_t{1} << (signal - 1));
    batch_.ignore(batch_.call(SYS_prlimit64, 0, RLIMIT_CORE, *batch_.put(none), 0));
    auto standard = batch_.reserve(32);
    batch_.ignore(batch_.call(SYS_rt_sigaction, signal, *standard, 0, 8));
    batch_.ignore(batch_.call(SYS_rt_sigprocmask, SIG_SETMASK, *batch_.put(set), 0, 8));
    target::Entry pid = batch_.call(SYS_getpid);
    batch_.ignore(batch_.call(SYS_kill, pid, signal));
  } else {
    batch_.call(SYS_exit_group, WEXITSTATUS(status));
  }
  exiting_ = true;
  return batch_.submit();
}

Result<void> Executor::Lane::finish() {
  if (leaves_process_) return batch_.wait_exited(watch_);
  if (exiting_) return {};
  Result<void> waited = batch_.wait(watch_);
  if (!waited) {
    auto failed = batch_.failed();
    // Plan::undo looks at them.
    for (const Pending& p : current_)
      if (failed && p.entry.index <= failed->index) executor_.results_[p.op] = batch_.result(p.entry);
    for (const Pending& p : current_)
      if (failed && p.entry.index == failed->index)
        return fail(std::move(waited.error()).in(to_text(executor_.plan_, p.op)));
    return waited;
  }
  std::vector<Actor> born;
  for (const Pending& p : current_) {
    const Op& op = executor_.plan_.ops[p.op];
    executor_.results_[p.op] = batch_.result(p.entry);
    if (op.code == Op::Code::Fork || op.code == Op::Code::Thread)
      born.push_back(static_cast<Actor>(op.args[0].value));
  }
  // What system calls left in blocks that later operations read fields of.
  for (auto& [id, address] : blocks_) {
    DataBlock& data = executor_.plan_.data[id];
    if (!data.fixups.empty()) continue;
    auto bytes = batch_.data(address, data.bytes.size());
    std::copy(bytes.begin(), bytes.end(), data.bytes.begin());
  }
  batch_.clear();
  current_.clear();
  blocks_.clear();
  for (Actor tid : born) {
    TRY(executor_.begin_actor(tid));
    TRY_ASSIGN(Lane * child, executor_.lane(tid));
    TRY(child->wait_alive(), "task {}", tid);
  }
  return {};
}

}  // namespace bpfckpt::restore
