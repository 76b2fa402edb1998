// SPDX-License-Identifier: Apache-2.0
#include "target/seized_task.h"

#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <array>
#include <utility>

#include "base/log.h"
#include "target/memory.h"

namespace bpfckpt::target {
namespace {

// linux/ptrace.h, which cannot be included together with sys/ptrace.h.
constexpr long kPeekSiginfo = 0x4209;
constexpr long kGetSigmask = 0x420a;
constexpr long kSetSigmask = 0x420b;
constexpr long kSeccompGetFilter = 0x420c;
constexpr long kSeccompGetMetadata = 0x420d;      // since 4.16
constexpr long kGetRseqConfiguration = 0x420f;    // since 5.13
constexpr long kSetSyscallUserDispatch = 0x4210;  // since 6.4
constexpr long kGetSyscallUserDispatch = 0x4211;  // since 6.4
struct PeekSiginfoArgs {
  std::uint64_t offset;
  std::uint32_t flags;
  std::int32_t count;
};
constexpr std::uint32_t kPeekShared = 1;

struct SeccompMetadata {
  std::uint64_t filter_off;
  std::uint64_t flags;
};
constexpr std::size_t kFilterInstruction = 8;  // sizeof(struct sock_filter)

constexpr int kEventStop = 128;  // PTRACE_EVENT_STOP
constexpr std::chrono::milliseconds kDeathTime{5000};
constexpr std::chrono::milliseconds kLetGoTime{500};

// struct rseq and struct rseq_cs of linux/rseq.h.
constexpr std::uint64_t kRseqCsOffset = 8;
struct RseqCriticalSection {
  std::uint32_t version;
  std::uint32_t flags;
  std::uint64_t start_ip;
  std::uint64_t post_commit_offset;
  std::uint64_t abort_ip;
};

template <class T>
std::uint64_t address_of(T& object) {
  return reinterpret_cast<std::uint64_t>(&object);
}

Error ended(pid_t tid, const TaskStatus& status) {
  return Error::target_gone(status.kind == TaskStatus::Kind::Killed
                                ? fmt::format("task {} was killed by signal {}", tid, status.signal)
                                : fmt::format("task {} exited", tid));
}

bool stops_group(int signal) {
  return signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
}

}  // namespace

Result<void> SeizedTask::ptrace(const char* what, long request, std::uint64_t addr,
                                std::uint64_t data) const {
  if (::ptrace(static_cast<__ptrace_request>(request), tid_, addr, data) != -1) return {};
  // A stopped tracee can still be killed.
  if (errno == ESRCH) return fail(Error::target_gone(fmt::format("{}: task {} is gone", what, tid_)));
  return fail(Error::system(fmt::format("{} of task {}", what, tid_)));
}

Result<SeizedTask> SeizedTask::seize(Waiter& waiter, pid_t tid, std::uint64_t ptrace_options) {
  if (::ptrace(PTRACE_SEIZE, tid, 0, ptrace_options) == 0) return SeizedTask(waiter, tid);
  return fail(Error::system(fmt::format("seize task {}", tid)));
}

SeizedTask::SeizedTask(SeizedTask&& other) noexcept {
  *this = std::move(other);
}

SeizedTask& SeizedTask::operator=(SeizedTask&& other) noexcept {
  if (this == &other) return *this;
  detach();
  waiter_ = other.waiter_;
  tid_ = std::exchange(other.tid_, 0);
  stopped_ = other.stopped_;
  interrupted_ = other.interrupted_;
  group_stop_signal_ = other.group_stop_signal_;
  registers_ = other.registers_;
  return *this;
}

SeizedTask::~SeizedTask() {
  detach();
}

bool SeizedTask::stands() const {
  unsigned long message = 0;
  return stopped_ && ::ptrace(PTRACE_GETEVENTMSG, tid_, 0, &message) == 0 && !waiter_->has_news(tid_);
}

Result<void> SeizedTask::interrupt() {
  // A task that stands already (the seizure of a group-stopped one makes it stand) would keep the request as
  // another stop for later.
  if (stopped_) return {};
  if (const auto status = waiter_->poll(tid_)) TRY(take(*status));
  if (stopped_) return {};
  interrupted_ = true;
  return ptrace("interrupt", PTRACE_INTERRUPT, 0, 0);
}

Result<void> SeizedTask::take(const TaskStatus& status) {
  if (!status.stopped()) {
    const pid_t tid = std::exchange(tid_, 0);
    return fail(ended(tid, status));
  }
  if (status.event != kEventStop) {
    // The delivery of a signal, or an event that was asked for. Let it take its course. Any stop clears a
    // request to stop (ptrace_stop() clears JOBCTL_TRAP_STOP), so ask again before.
    if (interrupted_) TRY(ptrace("interrupt", PTRACE_INTERRUPT, 0, 0));
    return ptrace("resume", PTRACE_CONT, 0,
                  static_cast<std::uint64_t>(status.event == 0 ? status.signal : 0));
  }
  stopped_ = true;
  interrupted_ = false;
  // do_jobctl_trap(): the stop signal if the group is stopped, else SIGTRAP.
  group_stop_signal_ = stops_group(status.signal) ? status.signal : 0;
  TRY_ASSIGN(Registers current, registers());
  if (arch::hide_interruption(current)) TRY(set_registers(current));
  return {};
}

Result<bool> SeizedTask::wait_stopped(Deadline deadline) {
  while (!stopped_) {
    const auto status = waiter_->wait(tid_, deadline);
    if (!status) return false;
    TRY(take(*status));
  }
  return true;
}

Result<void> SeizedTask::stop(Deadline deadline) {
  TRY(interrupt());
  TRY_ASSIGN(const bool in_time, wait_stopped(deadline));
  if (!in_time) return fail(Error::system(fmt::format("stop of task {}", tid_), ETIMEDOUT));
  return {};
}

Result<void> SeizedTask::check_running() {
  const auto status = waiter_->poll(tid_);
  if (!status) return {};
  if (!status->stopped()) {
    const pid_t tid = std::exchange(tid_, 0);
    return fail(ended(tid, *status));
  }
  if (status->event == kEventStop) return ptrace("resume", PTRACE_CONT, 0, 0);
  // All signals are blocked, so only SIGSTOP arrives from others; anything else was caused by what runs
  // there.
  if (status->signal == SIGSTOP) return ptrace("resume", PTRACE_CONT, 0, SIGSTOP);
  stopped_ = true;
  registers_.reset();
  return fail(Error::bug(fmt::format("task {} got signal {} in the parasite", tid_, status->signal)));
}

Result<void> SeizedTask::resume() {
  TRY(ptrace("resume", PTRACE_CONT, 0, 0));
  stopped_ = false;
  registers_.reset();
  return {};
}

Result<void> SeizedTask::resume_to_call() {
  TRY(ptrace("resume", PTRACE_SYSCALL, 0, 0));
  stopped_ = false;
  registers_.reset();
  return {};
}

Result<void> SeizedTask::wait_call(Deadline deadline) {
  const auto status = waiter_->wait(tid_, deadline);
  if (!status) return fail(Error::system(fmt::format("system call of task {}", tid_), ETIMEDOUT));
  if (!status->stopped() || status->signal != SIGTRAP || status->event != 0)
    return fail(Error::target_gone(fmt::format("task {} does not make the call", tid_)));
  stopped_ = true;
  return {};
}

Result<void> SeizedTask::make_call() {
  TRY(ptrace("interrupt", PTRACE_INTERRUPT, 0, 0));
  interrupted_ = true;
  return resume();
}

void SeizedTask::bury() noexcept {
  const Deadline deadline = within(kDeathTime);
  while (tid_ != 0) {
    const auto status = waiter_->wait(tid_, deadline);
    if (!status) log::warn("task {} does not die", tid_);
    if (!status || !status->stopped()) tid_ = 0;
  }
}

void SeizedTask::detach() noexcept {
  if (tid_ == 0) return;
  if (!stopped_) {
    if (!interrupted_ && !interrupt()) {
      tid_ = 0;
      return;
    }
    const auto in_time = wait_stopped(within(kLetGoTime));
    if (in_time && !*in_time)
      log::warn("task {} cannot be let go before bpfckpt exits: it does not stop", tid_);
    if (!in_time || !*in_time) {
      tid_ = 0;
      return;
    }
  }
  if (::ptrace(PTRACE_DETACH, tid_, 0, 0) != 0 && errno != ESRCH)
    log::error("detach from task {}: {}", tid_, std::strerror(errno));
  tid_ = 0;
}

Result<Registers> SeizedTask::registers() {
  if (!registers_) {
    Registers registers{};
    iovec buffer{&registers, sizeof registers};
    TRY(ptrace("registers", PTRACE_GETREGSET, NT_PRSTATUS, address_of(buffer)));
    registers_ = registers;
  }
  return *registers_;
}

Result<void> SeizedTask::set_registers(const Registers& registers) {
  iovec buffer{const_cast<Registers*>(&registers), sizeof registers};
  TRY(ptrace("set registers", PTRACE_SETREGSET, NT_PRSTATUS, address_of(buffer)));
  registers_ = registers;
  return {};
}

Result<std::vector<std::byte>> SeizedTask::xstate() const {
  std::array<std::byte, 16384> bytes;  // the largest of today (AMX) is below 12 KiB
  iovec buffer{bytes.data(), bytes.size()};
  TRY(ptrace("extended registers", PTRACE_GETREGSET, static_cast<std::uint64_t>(arch::kExtendedRegset),
             address_of(buffer)));
  return std::vector<std::byte>(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(buffer.iov_len));
}

Result<void> SeizedTask::set_xstate(std::span<const std::byte> bytes) {
  iovec buffer{const_cast<std::byte*>(bytes.data()), bytes.size()};
  return ptrace("set extended registers", PTRACE_SETREGSET, static_cast<std::uint64_t>(arch::kExtendedRegset),
                address_of(buffer));
}

Result<std::uint64_t> SeizedTask::blocked() const {
  std::uint64_t mask = 0;
  TRY(ptrace("signal mask", kGetSigmask, sizeof mask, address_of(mask)));
  return mask;
}

Result<void> SeizedTask::set_blocked(std::uint64_t mask) {
  return ptrace("set signal mask", kSetSigmask, sizeof mask, address_of(mask));
}

Result<std::vector<siginfo_t>> SeizedTask::pending(bool shared) const {
  std::vector<siginfo_t> all;
  std::array<siginfo_t, 32> some;
  PeekSiginfoArgs args{.offset = 0, .flags = shared ? kPeekShared : 0, .count = some.size()};
  for (;;) {
    const long got = ::ptrace(static_cast<__ptrace_request>(kPeekSiginfo), tid_, &args, some.data());
    if (got < 0) return fail(Error::system(fmt::format("pending signals of task {}", tid_)));
    all.insert(all.end(), some.begin(), some.begin() + got);
    if (got < args.count) return all;
    args.offset += static_cast<std::uint64_t>(got);
  }
}

Result<RseqConfiguration> SeizedTask::rseq() const {
  RseqConfiguration rseq;
  if (auto got = ptrace("rseq", kGetRseqConfiguration, sizeof rseq, address_of(rseq)); !got) {
    // EIO: this kernel is built without rseq.
    if (got.error().err() == EIO) return RseqConfiguration{};
    return fail(std::move(got.error()));
  }
  return rseq;
}

Result<SyscallUserDispatch> SeizedTask::syscall_user_dispatch() const {
  SyscallUserDispatch dispatch;
  if (auto got =
          ptrace("syscall user dispatch", kGetSyscallUserDispatch, sizeof dispatch, address_of(dispatch));
      !got) {
    // EIO before 6.4, where it cannot be asked; EINVAL where the architecture has none.
    if (got.error().err() == EIO || got.error().err() == EINVAL) return SyscallUserDispatch{};
    return fail(std::move(got.error()));
  }
  return dispatch;
}

Result<void> SeizedTask::set_syscall_user_dispatch(const SyscallUserDispatch& dispatch) {
  return ptrace("set syscall user dispatch", kSetSyscallUserDispatch, sizeof dispatch, address_of(dispatch));
}

Result<std::vector<SeccompFilter>> SeizedTask::seccomp_filters() const {
  std::vector<SeccompFilter> filters;
  for (std::uint64_t index = 0;; ++index) {
    const long count = ::ptrace(static_cast<__ptrace_request>(kSeccompGetFilter), tid_, index, nullptr);
    if (count < 0 && errno == ENOENT) return filters;
    if (count < 0) return fail(Error::system(fmt::format("seccomp filters of task {}", tid_)));
    SeccompFilter filter;
    filter.program.resize(static_cast<std::size_t>(count) * kFilterInstruction);
    TRY(ptrace("seccomp filter", kSeccompGetFilter, index, address_of(filter.program[0])));
    SeccompMetadata metadata{index, 0};
    TRY(ptrace("seccomp metadata", kSeccompGetMetadata, sizeof metadata, address_of(metadata)));
    filter.flags = static_cast<std::uint32_t>(metadata.flags);
    filters.push_back(std::move(filter));
  }
}

bool SeizedTask::has_shadow_stack() const {
  std::uint64_t pointer = 0;
  iovec buffer{&pointer, sizeof pointer};
  return ::ptrace(PTRACE_GETREGSET, tid_, arch::kShadowStackRegset, &buffer) == 0 &&
         buffer.iov_len == sizeof pointer;
}

Result<void> SeizedTask::set_options(std::uint64_t options) {
  return ptrace("set options", PTRACE_SETOPTIONS, 0, options);
}

Result<std::optional<RemoteAddress>> SeizedTask::rseq_abort(const RseqConfiguration& rseq,
                                                            RemoteAddress pc) const {
  if (rseq.address == 0) return std::nullopt;
  const auto section_at = read_object<std::uint64_t>(tid_, RemoteAddress(rseq.address + kRseqCsOffset));
  // The kernel kills a thread whose area or section cannot be read when it needs them; that is not our
  // business.
  if (!section_at || *section_at == 0) return std::nullopt;
  const auto section = read_object<RseqCriticalSection>(tid_, RemoteAddress(*section_at));
  if (!section || pc.value() - section->start_ip >= section->post_commit_offset) return std::nullopt;
  return RemoteAddress(section->abort_ip);
}

Result<ThreadState> SeizedTask::state(bool leader) {
  ThreadState state;
  TRY_ASSIGN(state.registers, registers());
  TRY_ASSIGN(state.xstate, xstate());
  TRY_ASSIGN(state.sigmask, blocked());
  TRY_ASSIGN(state.pending, pending(false));
  if (leader) {
    TRY_ASSIGN(state.shared_pending, pending(true));
  }
  TRY_ASSIGN(state.rseq, rseq());
  const RemoteAddress pc = arch::program_counter(state.registers);
  TRY_ASSIGN(state.rseq_abort, rseq_abort(state.rseq, pc));
  TRY_ASSIGN(state.dispatch, syscall_user_dispatch());
  if (const auto code = read_object<std::array<std::byte, 2>>(tid_, pc))
    state.at_restart = arch::restarting(state.registers, *code);
  return state;
}

Registers recorded_registers(const ThreadState& state) {
  Registers registers = state.registers;
  if (state.rseq_abort) arch::set_program_counter(registers, *state.rseq_abort);
  return registers;
}

}  // namespace bpfckpt::target
