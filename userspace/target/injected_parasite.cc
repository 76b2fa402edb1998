// SPDX-License-Identifier: Apache-2.0
#include "target/injected_parasite.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <thread>
#include <utility>

#include "base/log.h"
#include "parasite/embedded.h"
#include "target/memory.h"

namespace bpfckpt::target {
namespace {

constexpr std::uint64_t kAllSignals = ~std::uint64_t{0};
constexpr std::chrono::milliseconds kStopTime{10'000};
constexpr std::chrono::milliseconds kCureTime{10'000};
// Between the continuation that a signal frame restores and what we write: room for its patch.
constexpr std::uint64_t kPatchRoom = 64;
// How long a thread has for its call through the gate. Who does not run at all (a frozen control group) is
// looked for that long once for all that were sent together, and each of them a few times.
constexpr std::chrono::milliseconds kGateTime{5000};
constexpr int kLeastLooks = 4;

bool has_magic(std::span<const std::byte> bytes, std::size_t offset) {
  return offset + sizeof parasite::kMagic <= bytes.size() &&
         std::memcmp(bytes.data() + offset, &parasite::kMagic, sizeof parasite::kMagic) == 0;
}

// A thread that a bpfckpt which is dead now sent into its blob, and which has not got home yet.
bool in_a_blob(pid_t pid, RemoteAddress pc) {
  const RemoteAddress page(pc.value() & ~std::uint64_t{parasite::kCodeBytes - 1});
  if (pc - page >= parasite::blob().size()) return false;
  const auto magic = read_object<std::uint64_t>(pid, page + parasite::kMagicOffset);
  return magic && *magic == parasite::kMagic;
}

std::uint64_t spins(std::chrono::seconds wait) {
  return static_cast<std::uint64_t>(wait.count()) * arch::gate_spins_per_second();
}

// An interruption that comes before the thread ran at all lets it make no progress: longer from time to time.
void pause(int attempt) {
  std::this_thread::sleep_for(std::chrono::microseconds(20 << std::min(attempt, 13)));
}

std::int64_t ms_since(Deadline moment) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - moment)
      .count();
}

bool is_over(Deadline deadline) {
  return std::chrono::steady_clock::now() >= deadline;
}

}  // namespace

InjectedParasite::InjectedParasite(InjectedParasite&& other) noexcept {
  *this = std::move(other);
}

InjectedParasite& InjectedParasite::operator=(InjectedParasite&& other) noexcept {
  if (this == &other) return *this;
  give_up("replaced");
  task_ = std::exchange(other.task_, nullptr);
  robust_ = other.robust_;
  sent_ = other.sent_;
  sent_for_ = other.sent_for_;
  sent_at_ = other.sent_at_;
  state_ = std::move(other.state_);
  injection_ = other.injection_;
  stage_ = std::exchange(other.stage_, Stage::None);
  gate_ = other.gate_;
  gate_before_ = std::move(other.gate_before_);
  frame_ = other.frame_;
  scratch_ = other.scratch_;
  spins_ = other.spins_;
  stack_before_ = std::move(other.stack_before_);
  area_ = std::move(other.area_);
  other.area_.reset();
  pair_ = other.pair_;
  message_ = other.message_;
  return *this;
}

InjectedParasite::~InjectedParasite() {
  give_up("dropped");
}

void InjectedParasite::give_up(const char* what) noexcept {
  if (stage_ == Stage::None) return;
  auto done = give_back();
  if (done) return;
  if (area_) area_->declare_dead();
  const std::string text =
      fmt::format("parasite of pid {} {}: {}", injection_.pid, what, done.error().message());
  if (went_on(done.error()))
    log::debug("{}", text);
  else
    log::error("{}", text);
}

// --- Who comes from somebody else.

namespace {

// `task` is stopped in a gate or blob that nobody comes to any more. Where it waits there, an interruption
// has it wait anew; and where its group is stopped, it would not get on by being let go.
Result<void> send_home(SeizedTask& task, pid_t pid, RemoteAddress gate) {
  const Deadline deadline = within(kGateTime);
  for (int attempt = 0;; ++attempt) {
    TRY_ASSIGN(const Registers registers, task.registers());
    std::int64_t result = 0;
    const arch::GateState state = arch::gate_state(registers, gate, result);
    if (state == arch::GateState::Elsewhere && !in_a_blob(pid, arch::program_counter(registers))) return {};
    if (is_over(deadline))
      return fail(Error::system(fmt::format("task {} in an old gate", task.tid()), ETIMEDOUT));
    if (state == arch::GateState::Done) TRY(task.set_registers(arch::leave_gate(registers, gate)));
    TRY(task.resume());
    pause(attempt);
    TRY(task.stop(within(kStopTime)));
  }
}

}  // namespace

Result<void> InjectedParasite::check_home(SeizedTask& task, const Registers& registers, pid_t pid,
                                          const RemoteRange& vdso) {
  const RemoteAddress pc = arch::program_counter(registers);
  const auto code = parasite::gate().code;
  const RemoteAddress gate = vdso.start + (vdso.size() - code.size());
  if (vdso.contains(pc)) {
    if (pc < gate) return {};
    std::vector<std::byte> tail(code.size());
    TRY(read_memory(pid, gate, tail), "vDSO");
    if (!has_magic(tail, tail.size() - sizeof parasite::kMagic)) return {};
    // Another version's goes home when its time is over.
    if (std::ranges::equal(tail, code)) TRY(send_home(task, pid, gate));
  } else {
    if (!in_a_blob(pid, pc)) return {};
    TRY(send_home(task, pid, gate));
  }
  return fail(Error::conflict(
      fmt::format("task {} has not come home yet from an earlier run that was killed", task.tid())));
}

// --- Getting in.

Result<InjectedParasite> InjectedParasite::begin(SeizedTask& task, RobustList& robust,
                                                 const ThreadState& state, const Injection& injection) {
  if (!arch::is_native(state.registers)) return fail(Error::unsupported("a parasite in 32-bit mode"));
  if (task.has_shadow_stack()) return fail(Error::unsupported("a parasite in a thread with a shadow stack"));
  InjectedParasite parasite;
  parasite.task_ = &task;
  parasite.robust_ = &robust;
  parasite.state_ = state;
  parasite.injection_ = injection;
  TRY(parasite.find_gate(injection.vdso));
  TRY(parasite.build_way_home());
  parasite.stage_ = Stage::InGate;  // from here on the destructor puts things back
  if (!injection.gate_in_place) TRY(poke_memory(injection.pid, parasite.gate_, parasite::gate().code));
  if (injection.seccomp) TRY(task.set_options(kSuspendSeccomp));
  if (state.dispatch.mode != 0) {
    SyscallUserDispatch off{};
    TRY(task.set_syscall_user_dispatch(off));
  }
  const std::uint64_t len_bytes = Area::size_for(std::span(&injection.slot, 1));
  const Registers map = parasite.call_registers(
      SYS_mmap, {0, len_bytes, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, ~std::uint64_t{0}, 0},
      len_bytes);
  TRY(parasite.enter_gate(map, SYS_mmap));
  return parasite;
}

// Registers first: from here on the way leads home, and sigreturn unblocks what is blocked next.
Result<void> InjectedParasite::enter_gate(const Registers& registers, long nr) {
  TRY(task_->set_registers(registers));
  TRY(task_->set_blocked(kAllSignals));
  sent_ = true;
  sent_for_ = nr;
  sent_at_ = std::chrono::steady_clock::now();
  return task_->resume();
}

Result<void> InjectedParasite::find_gate(const RemoteRange& vdso) {
  const auto code = parasite::gate().code;
  std::vector<std::byte> image(vdso.size());
  TRY(read_memory(injection_.pid, vdso.start, image), "vDSO");
  TRY_ASSIGN(const std::size_t at, arch::gate_offset(image, code.size()));
  gate_ = vdso.start + at;
  gate_before_.assign(image.begin() + static_cast<std::ptrdiff_t>(at), image.end());
  // A dead bpfckpt's gate is nothing to put back.
  if (has_magic(image, image.size() - sizeof parasite::kMagic)) std::ranges::fill(gate_before_, std::byte{0});
  return {};
}

Result<void> InjectedParasite::build_way_home() {
  ThreadState home_state = state_;
  home_state.registers = recorded_registers(state_);
  Continuation home =
      arch::continue_by_sigreturn(home_state.registers, injection_.restart, state_.at_restart);
  if (!home.patch.empty() && !overwrite(home.patch_at, home.patch))
    home = arch::continue_by_sigreturn(home_state.registers, std::nullopt, state_.at_restart);

  // A runtime that makes its own small stacks (Go) gives its threads alternate stacks for the kernel's
  // frames.
  const RemoteAddress stack = arch::stack_pointer(state_.registers);
  if (injection_.altstack.size() != 0 && !injection_.altstack.contains(stack) &&
      build_frame_below(home, injection_.altstack.end))
    return {};
  return build_frame_below(home, stack - arch::kRedZone - kPatchRoom);
}

Result<void> InjectedParasite::build_frame_below(const Continuation& home, RemoteAddress top) {
  parasite::GateScratch scratch{.no_signals = 0, .wait_s = injection_.gate_wait.count(), .wait_ns = 0};
  const RemoteAddress scratch_at((top.value() - sizeof scratch) & ~std::uint64_t{15});
  arch::SignalFrame frame = arch::build_frame(home.registers, state_.xstate, state_.sigmask, scratch_at);
  if (injection_.altstack.contains(top - 1) && frame.at < injection_.altstack.start)
    return fail(Error::unsupported("the alternate stack is too small for a frame"));
  const auto extra = std::as_bytes(std::span(&scratch, 1));
  frame.bytes.insert(frame.bytes.end(), extra.begin(), extra.end());
  if (auto written = overwrite(frame.at, frame.bytes); !written)
    return fail(
        Error::unsupported("no room below the stack for a signal frame: " + written.error().message()));
  frame_ = frame.frame;
  // A filter may forbid rt_sigtimedwait() once we are dead and it is no longer suspended.
  if (injection_.seccomp)
    spins_ = spins(injection_.gate_wait);
  else
    scratch_ = scratch_at;
  return {};
}

Result<void> InjectedParasite::overwrite(RemoteAddress at, std::span<const std::byte> bytes) {
  Saved before{.at = at, .bytes = std::vector<std::byte>(bytes.size())};
  TRY(read_memory(injection_.pid, at, before.bytes));
  TRY(write_memory(injection_.pid, at, bytes));
  stack_before_.push_back(std::move(before));
  return {};
}

Registers InjectedParasite::call_registers(long nr, std::array<std::uint64_t, 6> args,
                                           std::uint64_t unmap_bytes) const {
  return arch::enter_gate(state_.registers, {.gate = gate_,
                                             .frame = frame_,
                                             .scratch = scratch_,
                                             .spins = spins_,
                                             // Without a filter to fear only.
                                             .unmap_bytes = injection_.seccomp ? 0 : unmap_bytes,
                                             .nr = nr,
                                             .args = args});
}

Result<InjectedParasite::Found> InjectedParasite::stop_and_look() {
  if (!task_->stopped()) TRY(task_->stop(within(kStopTime)));
  TRY_ASSIGN(const Registers registers, task_->registers());
  Found found;
  found.state = arch::gate_state(registers, gate_, found.result);
  found.in_blob = area_ && area_->range().contains(arch::program_counter(registers));
  return found;
}

// Stops the thread that was sent into the gate. PTRACE_INTERRUPT may come before it ran at all: then again.
Result<std::int64_t> InjectedParasite::finish_call() {
  for (int attempt = 0;; ++attempt) {
    TRY_ASSIGN(const Found found, stop_and_look());
    if (found.state == arch::GateState::Done) {
      sent_ = false;
      return found.result;
    }
    if (found.home()) {
      TRY(is_home());
      return fail(Error::conflict(
          fmt::format("task {} went on by itself: this machine was too busy to get back to it for {} ms",
                      task_->tid(), ms_since(sent_at_))));
    }
    if (attempt >= kLeastLooks && is_over(sent_at_ + kGateTime))
      return fail(Error::system(fmt::format("task {} in the gate", task_->tid()), ETIMEDOUT));
    TRY(task_->resume());
    pause(attempt);
  }
}

// It went home by itself, and is stopped on its way from there: nothing of what it is and has now is ours.
// The gate has unmapped the area (under seccomp, not that of an mmap()) and restored mask and registers; what
// stays are some bytes on a dead stack and the code of the gate.
Result<void> InjectedParasite::is_home() {
  stage_ = Stage::None;
  sent_ = false;
  area_.reset();
  if (state_.dispatch.mode != 0) TRY(task_->set_syscall_user_dispatch(state_.dispatch));
  if (injection_.seccomp) TRY(task_->set_options(0));
  return {};
}

Result<void> InjectedParasite::place() {
  TRY_ASSIGN(const std::int64_t mapped, finish_call());
  if (parasite::is_error(mapped)) return fail(Error::system("mmap in the target", static_cast<int>(-mapped)));
  const auto slots = std::span(&injection_.slot, 1);
  const RemoteAddress base(static_cast<std::uint64_t>(mapped));
  const auto mode = injection_.seccomp ? parasite::kModeDumpBare : parasite::kModeDump;
  const auto code = parasite::gate();
  auto area = [&]() -> Result<Area> {
    TRY_ASSIGN(Fd file, open_mapped_file(injection_.pid, {base, base + Area::size_for(slots)}));
    return Area::over(*robust_, std::move(file), base, slots, mode, gate_, gate_ + code.home);
  }();
  if (!area) {
    TRY(call(SYS_munmap, {base.value(), Area::size_for(slots), 0, 0, 0, 0}));
    return fail(std::move(area.error()));
  }
  area_ = std::move(*area);
  stage_ = Stage::Placed;
  const SlotView slot = area_->slot(0);
  slot.slot->frame = frame_.value();
  slot.slot->scratch = scratch_.value();
  if (injection_.seccomp) area_->header().gate_spins = spins(injection_.leave_wait);
  TRY(task_->set_registers(arch::enter_blob(state_.registers, {.area = base,
                                                               .area_len_bytes = area_->range().size(),
                                                               .slot = slot.address,
                                                               .frame = frame_,
                                                               .gate_home = gate_ + code.home,
                                                               .unmap_on_failure = !injection_.seccomp})));
  return task_->resume();
}

// --- Getting out.

// From now on the thread waits for leave_wait in its gate.
Result<void> InjectedParasite::wait_longer() {
  spins_ = injection_.seccomp ? spins(injection_.leave_wait) : 0;
  if (injection_.seccomp || injection_.leave_wait == injection_.gate_wait) return {};
  const parasite::GateScratch scratch{.no_signals = 0, .wait_s = injection_.leave_wait.count(), .wait_ns = 0};
  return write_memory(injection_.pid, scratch_, std::as_bytes(std::span(&scratch, 1)));
}

Result<void> InjectedParasite::begin_cure() {
  TRY(wait_longer());
  Batch leave = batch();
  leave.leave();
  TRY(leave.submit());
  sent_ = true;
  sent_for_ = SYS_munmap;
  sent_at_ = std::chrono::steady_clock::now();
  return {};
}

Result<void> InjectedParasite::cure() {
  TaskWatch watching = watch();
  TRY(batch().wait_done(watching, kCureTime));
  TRY_ASSIGN(const std::int64_t unmapped, finish_call());
  if (unmapped != 0) return fail(Error::system("munmap in the target", static_cast<int>(-unmapped)));
  area_.reset();
  return put_back();
}

// The thread is stopped in the gate, nothing of ours is mapped any more.
Result<void> InjectedParasite::put_back() {
  stage_ = Stage::None;
  TRY(task_->set_registers(arch::enter_sigreturn(state_.registers, gate_, frame_)));
  TRY(task_->set_blocked(state_.sigmask));
  if (state_.dispatch.mode != 0) TRY(task_->set_syscall_user_dispatch(state_.dispatch));
  // Code has run in this thread, so the kernel has cleared rseq_cs: a critical section would go on without
  // its abort.
  TRY(task_->set_registers(recorded_registers(state_)));
  if (injection_.seccomp) TRY(task_->set_options(0));
  for (auto it = stack_before_.rbegin(); it != stack_before_.rend(); ++it)
    TRY(write_memory(injection_.pid, it->at, it->bytes));
  stack_before_.clear();
  if (!injection_.gate_in_place) TRY(poke_memory(injection_.pid, gate_, gate_before_));
  return {};
}

// One call through the gate, from wherever the thread is stopped.
Result<std::int64_t> InjectedParasite::call(long nr, std::array<std::uint64_t, 6> args) {
  TRY(enter_gate(call_registers(nr, args, 0), nr));
  return finish_call();
}

// From outside: the blob may be in a call that does not end, or not be there any more.
Result<void> InjectedParasite::give_back() {
  if (task_->tid() == 0) {
    stage_ = Stage::None;
    return {};
  }
  Found found;
  const Deadline deadline = within(kGateTime);
  for (int attempt = 0;; ++attempt) {
    TRY_ASSIGN(found, stop_and_look());
    const bool leaving = found.state == arch::GateState::Leaving;
    const bool told_to_leave = sent_ && found.in_blob;
    if (!leaving && (!told_to_leave || is_over(deadline))) break;
    if (is_over(deadline))
      return fail(Error::system(fmt::format("task {} in the gate", task_->tid()), ETIMEDOUT));
    TRY(task_->resume());
    pause(attempt);
  }
  // Where begin() failed before it sent the thread away, it is still where it was frozen.
  if (found.home() && (sent_ || stage_ == Stage::Placed)) return is_home();
  const bool done = sent_ && found.state == arch::GateState::Done;
  if (done && sent_for_ == SYS_munmap) area_.reset();
  if (done && sent_for_ == SYS_mmap && !parasite::is_error(found.result))
    TRY(call(SYS_munmap, {static_cast<std::uint64_t>(found.result),
                          Area::size_for(std::span(&injection_.slot, 1)), 0, 0, 0, 0}));
  if (area_) {
    TRY(wait_longer());
    const parasite::Slot& slot = *area_->slot(0).slot;
    const auto owned = std::min(slot.owned_count, parasite::kOwnedMax);
    for (std::uint32_t i = 0; i < owned; ++i)
      if (slot.owned[i] >= 0)
        TRY(call(SYS_close, {static_cast<std::uint64_t>(slot.owned[i]), 0, 0, 0, 0, 0}));
    TRY(call(SYS_munmap, {area_->range().start.value(), area_->range().size(), 0, 0, 0, 0}));
    area_.reset();
  }
  return put_back();
}

}  // namespace bpfckpt::target
