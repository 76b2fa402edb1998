// SPDX-License-Identifier: Apache-2.0
// One thread under ptrace, and all that ptrace tells of it.
//
// PTRACE_SEIZE and PTRACE_INTERRUPT: no signal is sent, and a thread whose tracer dies in such a stop just
// goes on. PTRACE_SYSCALL and single-stepping are not like that: the thread is killed by the SIGTRAP that
// nobody took (kernel/signal.c:ptrace_stop() leaves the exit code, ptrace_notify()'s callers send it).
#pragma once

#include <signal.h>
#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "target/arch.h"
#include "target/waiter.h"

namespace bpfckpt::target {

// struct ptrace_rseq_configuration
struct RseqConfiguration {
  std::uint64_t address = 0;  // 0: not registered
  std::uint32_t len_bytes = 0;
  std::uint32_t signature = 0;
  std::uint32_t flags = 0;
  std::uint32_t reserved = 0;
};
static_assert(sizeof(RseqConfiguration) == 24);

// struct ptrace_sud_config
struct SyscallUserDispatch {
  std::uint64_t mode = 0;  // 0: off
  std::uint64_t selector = 0;
  std::uint64_t offset = 0;
  std::uint64_t len_bytes = 0;
};
static_assert(sizeof(SyscallUserDispatch) == 32);

// A program of seccomp(2), as it was installed.
struct SeccompFilter {
  std::vector<std::byte> program;  // struct sock_filter
  std::uint32_t flags = 0;         // SECCOMP_FILTER_FLAG_LOG
};

// PTRACE_O_SUSPEND_SECCOMP: as long as we live, filters and strict mode let every call pass.
inline constexpr std::uint64_t kSuspendSeccomp = 1 << 21;
// PTRACE_O_EXITKILL
inline constexpr std::uint64_t kExitKill = 1 << 20;

// Everything that ptrace shows of a stopped thread.
struct ThreadState {
  Registers registers{};
  std::vector<std::byte> xstate;
  std::uint64_t sigmask = 0;
  std::vector<siginfo_t> pending;         // the thread's own, in queue order
  std::vector<siginfo_t> shared_pending;  // the process's; filled for the leader only
  RseqConfiguration rseq;
  // Inside of an rseq critical section: where the thread goes on after any interruption.
  std::optional<RemoteAddress> rseq_abort;
  SyscallUserDispatch dispatch;
  bool at_restart = false;  // arch::restarting()
};

class SeizedTask {
 public:
  // Does not stop the task. `waiter` outlives it. Errors: ESRCH: no such task; EPERM: a zombie, or somebody
  // else traces it, or not permitted.
  static Result<SeizedTask> seize(Waiter& waiter, pid_t tid, std::uint64_t ptrace_options = 0);
  // One that is ours already: a seized thread that execs takes the number of its leader. Precondition: this
  // thread traces it.
  static SeizedTask adopt(Waiter& waiter, pid_t tid) { return SeizedTask(waiter, tid); }

  SeizedTask(SeizedTask&& other) noexcept;
  SeizedTask& operator=(SeizedTask&& other) noexcept;
  ~SeizedTask();  // detach()

  pid_t tid() const { return tid_; }
  bool stopped() const { return stopped_; }
  // In a group-stop (SIGSTOP and its like) under our own stop; 0: no. It stays in it when let go.
  int group_stop_signal() const { return group_stop_signal_; }

  // Is it still the task that stopped? Another thread's exec ends it and takes its number, whatever becomes
  // of that one: it runs, or stands in a stop of its own.
  bool stands() const;

  // Asks the task to stop.
  Result<void> interrupt();
  // Until it stands in a PTRACE_EVENT_STOP. A signal that was just being delivered is delivered first: its
  // handler's frame is on the stack then. False: not until the deadline. Error::TargetGone: it exited.
  Result<bool> wait_stopped(Deadline deadline);
  // interrupt() and wait_stopped(); Error::System ETIMEDOUT.
  Result<void> stop(Deadline deadline);
  // A status that came while the task ran: a stop that is none of ours is passed (signal to the task,
  // group-stop gone through); a fault or death is an error. For Watch.
  Result<void> check_running();

  Result<void> resume();          // PTRACE_CONT
  Result<void> resume_to_call();  // PTRACE_SYSCALL: to be used only where the target may die with us
  // After resume_to_call(): until it is about to make the call. Error ETIMEDOUT at the deadline.
  Result<void> wait_call(Deadline deadline);
  // After wait_call(): makes the call; wait_stopped() finds the task behind it.
  Result<void> make_call();
  // Lets go, whatever the state; an error is logged. Nothing can be done with it afterwards.
  void detach() noexcept;
  // Waits for the death of a task that was sent SIGKILL, and buries it: a traced thread stays a zombie, and
  // keeps its process from being waited for, until its tracer has seen it. Precondition: SIGKILL is on its
  // way.
  void bury() noexcept;
  // Forgets the task without touching it: it is dead.
  void forget() { tid_ = 0; }

  // --- The task is stopped.
  Result<Registers> registers();
  Result<void> set_registers(const Registers& registers);
  Result<std::vector<std::byte>> xstate() const;
  Result<void> set_xstate(std::span<const std::byte> bytes);
  Result<std::uint64_t> blocked() const;
  Result<void> set_blocked(std::uint64_t mask);
  // Queued signals; the process's if `shared`.
  Result<std::vector<siginfo_t>> pending(bool shared) const;
  Result<RseqConfiguration> rseq() const;
  // All zero where the kernel has none.
  Result<SyscallUserDispatch> syscall_user_dispatch() const;
  Result<void> set_syscall_user_dispatch(const SyscallUserDispatch& dispatch);
  bool has_shadow_stack() const;
  // Oldest first, as they were installed. Needs CAP_SYS_ADMIN and a kernel with CONFIG_CHECKPOINT_RESTORE.
  Result<std::vector<SeccompFilter>> seccomp_filters() const;
  // PTRACE_O_*; PTRACE_O_SUSPEND_SECCOMP lets the parasite's calls pass filters as long as we live.
  Result<void> set_options(std::uint64_t options);
  // All of it. `leader`: the process's pending signals, too.
  Result<ThreadState> state(bool leader);

 private:
  SeizedTask(Waiter& waiter, pid_t tid) : waiter_(&waiter), tid_(tid) {}
  Result<void> take(const TaskStatus& status);
  Result<void> ptrace(const char* what, long request, std::uint64_t addr, std::uint64_t data) const;
  Result<std::optional<RemoteAddress>> rseq_abort(const RseqConfiguration& rseq, RemoteAddress pc) const;

  Waiter* waiter_ = nullptr;
  pid_t tid_ = 0;  // 0: none
  bool stopped_ = false;
  bool interrupted_ = false;  // PTRACE_INTERRUPT is under way
  int group_stop_signal_ = 0;
  std::optional<Registers> registers_;
};

// Where a thread stood that is to be recorded: its registers, at its rseq abort handler if it was inside of a
// critical section (kernel/rseq.c:rseq_ip_fixup() would have sent it there).
Registers recorded_registers(const ThreadState& state);

}  // namespace bpfckpt::target
