// SPDX-License-Identifier: Apache-2.0
#include "restore/executor.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <optional>
#include <ranges>
#include <set>
#include <string_view>
#include <thread>

#include "base/internet_checksum.h"
#include "base/log.h"
#include "restore/fill_pages.h"
#include "restore/lane.h"
#include "target/dead_process.h"

namespace bpfckpt::restore {
namespace {

constexpr std::uint64_t kAddressEnd = 0x7ffffffff000;

bool failed(std::int64_t result) {
  return result < 0 && result > -4096;
}

// What an operation FillPages reads of which image file.
struct Filling {
  std::string_view file;
  std::uint64_t offset = 0;
  std::uint64_t len_bytes = 0;
};

Filling filling_of(const Plan& plan, const Op& op) {
  const DataBlock& name = plan.data[plan.ops[op.args[1].index].args[0].index];
  const DataBlock& parts = plan.data[op.args[2].index];
  Filling filling{.file = reinterpret_cast<const char*>(name.bytes.data()), .offset = op.args[4].value};
  for (std::uint64_t i = 0; i < op.args[3].value; i++) {
    iovec part;
    std::memcpy(&part, parts.bytes.data() + i * sizeof(part), sizeof(part));
    filling.len_bytes += part.iov_len;
  }
  return filling;
}

}  // namespace

void expect_filled(image::ContentCheck& contents, const Plan& plan) {
  for (const Op& op : plan.ops) {
    if (op.code != Op::Code::FillPages) continue;
    const Filling filling = filling_of(plan, op);
    if (contents.is_block(filling.file, filling.offset, filling.len_bytes))
      contents.expect(filling.file, filling.offset);
  }
}

Executor::Executor(Plan& plan, const image::ImageReader& reader, image::ContentCheck& contents,
                   target::Waiter& waiter, target::RobustList& robust, std::vector<SpecialMapping> special,
                   ExecutorOptions options)
    : plan_(plan),
      reader_(reader),
      contents_(contents),
      waiter_(waiter),
      robust_(robust),
      special_(std::move(special)),
      options_(options),
      results_(plan.ops.size(), -ENOSYS) {}

Executor::~Executor() {
  if (made_.empty()) return;
  for (auto& [pid, made] : made_) ::syscall(SYS_pidfd_send_signal, made.pidfd.get(), SIGKILL, nullptr, 0);
  // A traced thread stays a zombie until its tracer has seen it, and with it the process; leaders last.
  for (auto& [tid, task] : seized_)
    if (!made_.contains(static_cast<Actor>(tid))) task.bury();
  for (auto& [tid, task] : seized_) task.bury();
  // Orphans become ours: run() made bpfckpt their reaper.
  for (auto& [pid, made] : made_) ::waitpid(made.pid, nullptr, __WALL);
  undo();
}

// The last that was made goes first: what is in a directory before the directory. What the plan itself does
// away with later, by the same call, is done already where it came that far: the name can be somebody else's
// by now.
void Executor::undo() {
  const auto key_of = [](const Op& op) {
    std::array<std::uint64_t, 13> key{static_cast<std::uint64_t>(op.number)};
    for (unsigned i = 0; i < op.arg_count; i++) {
      key[1 + 2 * i] = static_cast<std::uint64_t>(op.args[i].type) << 32 | op.args[i].index;
      key[2 + 2 * i] = op.args[i].value;
    }
    return key;
  };
  std::set<std::int32_t> numbers;
  for (const Plan::Undo& undo : plan_.undo) numbers.insert(undo.op.number);
  std::set<std::array<std::uint64_t, 13>> done;
  for (std::size_t i = 0; i < plan_.ops.size() && !numbers.empty(); i++) {
    const Op& op = plan_.ops[i];
    if (op.actor == kSelf && op.code == Op::Code::Call && results_[i] >= 0 && numbers.contains(op.number))
      done.insert(key_of(op));
  }
  for (const Plan::Undo& undo : plan_.undo | std::views::reverse) {
    if (results_[undo.made] < 0 || done.contains(key_of(undo.op))) continue;
    std::array<std::uint64_t, 6> args{};
    for (unsigned i = 0; i < undo.op.arg_count; i++) args[i] = own_value(undo.op.args[i]);
    ::syscall(undo.op.number, args[0], args[1], args[2], args[3], args[4], args[5]);
  }
}

Result<void> Executor::run() {
  TRY(start_root());
  for (const Phase& phase : plan_.phases)
    TRY(phase.ordered ? run_ordered(phase) : run_parallel(phase), "{}", phase.name);
  return {};
}

Result<void> Executor::start_root() {
  std::vector<target::SlotGeometry> geometry;
  for (std::size_t i = 0; i < plan_.slots.size(); i++) {
    const Plan::Slot& slot = plan_.slots[i];
    slots_.emplace(slot.tid, i);
    target::SlotGeometry g = slot.tid == slot.pid ? target::kLeaderSlot : target::kThreadSlot;
    g.data_bytes = std::max(g.data_bytes, (slot.data_bytes + 4095) & ~4095u);
    if (slot.tid != slot.pid && slot.data_bytes <= target::kThreadSlot.data_bytes)
      g.data_bytes = target::kThreadSlot.data_bytes;
    geometry.push_back(g);
  }
  if (plan_.arena_base + target::Area::size_for(geometry) > plan_.staging_base)
    return fail(Error::unsupported("the control area does not fit between the mappings of the tree"));
  TRY_ASSIGN(target::Area area,
             target::Area::create(robust_, target::RemoteAddress(plan_.arena_base), geometry));
  area_ = std::make_unique<target::Area>(std::move(area));
  if (plan_.free_arena) {
    const std::uint64_t end = area_->range().end.value();
    const std::uint64_t words[2] = {end, plan_.staging_base - end};
    std::memcpy(plan_.data[*plan_.free_arena].bytes.data(), words, sizeof words);
  }

  pid_t tid = static_cast<pid_t>(plan_.root);
  target::StubOptions options;
  options.set_tid = std::span(&tid, 1);
  if (options_.sibling) {
    options.clone_flags = CLONE_PARENT;
    options.exit_signal = 0;
  }
  TRY_ASSIGN(stub_, target::start_stub(*area_, options), "pid {}", tid);
  Fd pidfd(::fcntl(stub_.pidfd.get(), F_DUPFD_CLOEXEC, 0));
  if (!pidfd) return fail(Error::system("duplicate a pidfd"));
  made_.emplace(plan_.root, Made{stub_.pid, std::move(pidfd)});
  TRY(begin_actor(plan_.root));
  TRY_ASSIGN(Lane * root, lane(plan_.root));

  // Nothing stays but the area and the special mappings, which go to the staging place in the order they
  // have.
  std::vector<target::Arg> unused;
  std::uint64_t first = special_.empty() ? 0 : special_.front().start;
  std::uint64_t vdso_here = stub_.vdso.value();
  std::uint64_t vdso_ours = 0;
  for (const SpecialMapping& m : special_)
    if (m.name == "[vdso]") vdso_ours = m.start;
  target::Batch& batch = root->batch();
  for (const SpecialMapping& m : special_) {
    std::uint64_t len = m.end - m.start;
    batch.call(SYS_mremap, vdso_here + (m.start - vdso_ours), len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
               plan_.staging_base + (m.start - first));
  }
  target::RemoteRange range = area_->range();
  batch.call(SYS_munmap, 0, range.start.value());
  batch.call(SYS_munmap, range.end.value(), plan_.staging_base - range.end.value());
  std::uint64_t staging_end = plan_.arena_end;
  batch.call(SYS_munmap, staging_end, kAddressEnd - staging_end);
  // The way to our descriptors, under a number that nobody else wants.
  target::Entry pidfd_there = batch.call(SYS_pidfd_open, ::getpid(), 0);
  batch.expect(batch.call(SYS_fcntl, pidfd_there, F_DUPFD, plan_.channel_fd), plan_.channel_fd);
  batch.call(SYS_close, pidfd_there);
  TRY(root->run_now(), "first steps of pid {}", tid);
  return {};
}

Result<void> Executor::begin_actor(Actor tid) {
  auto it = slots_.find(tid);
  if (it == slots_.end()) return fail(Error::bug(fmt::format("task {} has no slot", tid)));
  Actor pid = plan_.slots[it->second].pid;
  if (!made_.contains(pid)) {
    int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    if (pidfd < 0) return fail(Error::system(fmt::format("pidfd_open({})", pid)));
    made_.emplace(pid, Made{static_cast<pid_t>(pid), Fd(pidfd)});
  }
  lanes_.emplace(tid, std::make_unique<Lane>(*this, area_->slot(it->second), made_.at(pid).pidfd.get(),
                                             static_cast<pid_t>(pid)));
  return {};
}

Result<Executor::Lane*> Executor::lane(Actor actor) {
  auto it = lanes_.find(actor);
  if (it == lanes_.end()) return fail(Error::bug(fmt::format("task {} was not made yet", actor)));
  return it->second.get();
}

Result<void> Executor::run_ordered(const Phase& phase) {
  for (OpId id = phase.first; id < phase.end; id++) {
    if (plan_.ops[id].actor == kSelf) {
      TRY(run_own(id));
      continue;
    }
    TRY_ASSIGN(Lane * actor, lane(plan_.ops[id].actor));
    std::vector<OpId> one{id};
    actor->give(one);
    while (!actor->idle()) {
      TRY(actor->submit());
      TRY(actor->finish());
    }
  }
  return {};
}

Result<void> Executor::run_parallel(const Phase& phase) {
  std::unordered_map<Actor, std::vector<OpId>> by_actor;
  std::vector<Actor> order;
  std::vector<OpId> meanwhile;
  for (OpId id = phase.first; id < phase.end; id++) {
    Actor actor = plan_.ops[id].actor;
    if (plan_.ops[id].code == Op::Code::FillPages) {
      meanwhile.push_back(id);
      continue;
    }
    if (actor == kSelf) {
      TRY(run_own(id));
      continue;
    }
    auto& ops = by_actor[actor];
    if (ops.empty()) order.push_back(actor);
    ops.push_back(id);
  }
  std::vector<Lane*> busy;
  for (Actor actor : order) {
    TRY_ASSIGN(Lane * l, lane(actor));
    l->give(by_actor[actor]);
    TRY(l->submit());
    busy.push_back(l);
  }
  TRY(run_at_once(meanwhile));
  // Each is given its next batch as soon as its last one is seen to be done, so that nobody waits for the
  // slowest.
  while (!busy.empty()) {
    std::vector<Lane*> still;
    for (Lane* l : busy) {
      TRY(l->finish());
      if (l->idle()) continue;
      TRY(l->submit());
      still.push_back(l);
    }
    busy = std::move(still);
  }
  return {};
}

Result<void> Executor::run_at_once(const std::vector<OpId>& ids) {
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  Result<void> all;
  auto work = [&] {
    for (std::size_t i; (i = next.fetch_add(1)) < ids.size();) {
      auto done = run_own(ids[i]);
      if (done) continue;
      std::scoped_lock lock(mutex);
      if (all) all = std::move(done);
      next = ids.size();
    }
  };
  const std::size_t threads = std::min<std::size_t>(std::thread::hardware_concurrency(), ids.size());
  std::vector<std::jthread> helpers;
  for (std::size_t i = 1; i < threads; i++) helpers.emplace_back(work);
  work();
  helpers.clear();
  return all;
}

// --- bpfckpt's own operations

std::byte* Executor::own_block(DataId id) {
  DataBlock& block = plan_.data[id];
  for (const Fixup& fixup : block.fixups) {
    std::uint64_t value = own_value(fixup.operand);
    std::memcpy(block.bytes.data() + fixup.offset, &value, fixup.width);
  }
  return block.bytes.data();
}

std::uint64_t Executor::own_value(const Operand& operand) {
  switch (operand.type) {
    case Operand::Type::Value:
      return operand.value;
    case Operand::Type::Result:
      return static_cast<std::uint64_t>(results_[operand.index]) + operand.value;
    case Operand::Type::Data:
      return reinterpret_cast<std::uint64_t>(own_block(operand.index) + operand.value);
    case Operand::Type::Field: {
      std::int32_t value = 0;
      std::memcpy(&value, plan_.data[operand.index].bytes.data() + operand.value, sizeof value);
      return static_cast<std::uint64_t>(value);
    }
    case Operand::Type::Wide: {
      std::uint64_t value = 0;
      std::memcpy(&value, plan_.data[operand.index].bytes.data() + operand.value, sizeof value);
      return value;
    }
  }
  return 0;
}

Result<std::int64_t> Executor::perform(OpId id) {
  const Op& op = plan_.ops[id];
  auto arg = [&](unsigned i) { return own_value(op.args[i]); };
  auto result_of = [](long value) -> std::int64_t { return value == -1 ? -errno : value; };
  switch (op.code) {
    case Op::Code::Call:
      return result_of(::syscall(op.number, arg(0), arg(1), arg(2), arg(3), arg(4), arg(5)));
    case Op::Code::OpenImage: {
      const DataBlock& name = plan_.data[op.args[0].index];
      TRY_ASSIGN(Fd fd, reader_.open_raw(reinterpret_cast<const char*>(name.bytes.data())));
      return fd.release();
    }
    case Op::Code::Fetch: {
      // Of a thread: its process's.
      const auto slot = slots_.find(static_cast<Actor>(arg(0)));
      auto made = slot == slots_.end() ? made_.end() : made_.find(plan_.slots[slot->second].pid);
      if (made == made_.end()) return fail(Error::bug("no such process was made"));
      return result_of(::syscall(SYS_pidfd_getfd, made->second.pidfd.get(), arg(1), 0));
    }
    case Op::Code::Reopen:
      return result_of(
          ::open(fmt::format("/proc/self/fd/{}", arg(0)).c_str(), static_cast<int>(arg(1)) | O_CLOEXEC));
    case Op::Code::OpenMapping: {
      // The link is named after the whole mapping, page-rounded.
      std::uint64_t end = arg(0) + ((arg(1) + 4095) & ~std::uint64_t{4095});
      return result_of(
          ::open(fmt::format("/proc/self/map_files/{:x}-{:x}", arg(0), end).c_str(), O_RDWR | O_CLOEXEC));
    }
    case Op::Code::DeadProcess: {
      TRY_ASSIGN(Fd fd, target::open_dead_process(static_cast<int>(arg(0)), static_cast<unsigned>(arg(1))));
      return fd.release();
    }
    case Op::Code::Unfilter: {
      auto tid = static_cast<pid_t>(arg(0));
      TRY_ASSIGN(target::SeizedTask task,
                 target::SeizedTask::seize(waiter_, tid, target::kExitKill | target::kSuspendSeccomp));
      seized_.emplace(tid, std::move(task));
      return 0;
    }
    case Op::Code::FillPages:
      TRY(fill(op));
      return 0;
    case Op::Code::Checksum: {
      const std::uint16_t sum = internet_checksum({reinterpret_cast<const std::uint8_t*>(arg(0)), arg(1)});
      std::memcpy(reinterpret_cast<void*>(arg(2)), &sum, sizeof sum);
      return 0;
    }
    case Op::Code::Add:
    case Op::Code::Repeat:
    case Op::Code::Fork:
    case Op::Code::Thread:
    case Op::Code::Pull:
    case Op::Code::ExitThread:
    case Op::Code::Exit:
      break;
  }
  return fail(Error::bug("an operation that bpfckpt itself cannot perform"));
}

Result<void> Executor::fill(const Op& op) {
  auto arg = [&](unsigned i) { return own_value(op.args[i]); };
  const Filling filling = filling_of(plan_, op);
  std::optional<image::BlockChecksum> checksum;
  if (contents_.is_block(filling.file, filling.offset, filling.len_bytes)) checksum.emplace();
  TRY(fill_pages(static_cast<pid_t>(arg(0)), static_cast<int>(arg(1)),
                 std::span(reinterpret_cast<const iovec*>(arg(2)), arg(3)), arg(4),
                 op.arg_count > 5 ? static_cast<int>(arg(5)) : -1, checksum ? &*checksum : nullptr));
  if (checksum) contents_.give(filling.file, filling.offset, checksum->value());
  return {};
}

Result<void> Executor::run_own(OpId id) {
  const Op& op = plan_.ops[id];
  TRY_ASSIGN(std::int64_t result, perform(id), "{}", to_text(plan_, id));
  results_[id] = result;
  if (op.may_fail) return {};
  if (failed(result)) return fail(Error::system(to_text(plan_, id), static_cast<int>(-result)));
  if (op.expect != UINT64_MAX && static_cast<std::uint64_t>(result) != op.expect)
    return fail(
        Error::system(fmt::format("{}: gave {} instead of {}", to_text(plan_, id), result, op.expect), EIO));
  return {};
}

}  // namespace bpfckpt::restore
