// SPDX-License-Identifier: Apache-2.0
// The blob in a frozen process that is to go on untouched afterwards, whatever becomes of us.
//
// Naive: save registers, single-step an mmap(), copy code in, run it, put back. If bpfckpt is killed anywhere
// in between, the target dies of a SIGTRAP or runs our code for ever. Instead:
//   1. A sigreturn frame with everything that the thread was goes onto its dead stack (or alternate stack),
//   before any
//      register changes: the way home.
//   2. A gate (parasite/ARCH/gate.S) goes into the tail of its vDSO, in one write. It makes one system call,
//   waits a
//      moment to be stopped by us, else unmaps and goes home.
//   3. Through the gate the thread maps shared anonymous memory, readable and executable. We open that
//   through
//      /proc/PID/map_files and write blob and control area; no descriptor appears in the target.
//   4. The thread enters the blob, whose first call makes the area's data writable and not executable. From
//   now on it
//      waits on our batches and on the robust lock that tells of our death.
//   5. Cure: the blob itself unmaps the area through the gate and waits there; we stop it, put mask and
//   registers
//      back, and remove what we wrote.
// Every stop is one of PTRACE_INTERRUPT, which the death of a tracer just ends.
//
// Steps come in halves, so that many processes work at the same time: begin() all, place() all; begin_cure()
// all, cure() all.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "base/result.h"
#include "parasite/protocol.h"
#include "target/arch.h"
#include "target/area.h"
#include "target/batch.h"
#include "target/robust_lock.h"
#include "target/seized_task.h"

namespace bpfckpt::target {

// What is known of the thread from elsewhere (the model).
struct Injection {
  pid_t pid = 0;         // thread group
  RemoteRange vdso;      // the whole mapping
  RemoteRange altstack;  // empty: none set
  bool seccomp = false;
  std::optional<RestartCall> restart;
  SlotGeometry slot = kLeaderSlot;
  // For a further thread of a process whose leader is taken already; cure it before the leader.
  bool gate_in_place = false;
  // How long the thread waits for us in the gate before it goes home by itself: on its way in, and out. On a
  // machine that is busy enough it takes us seconds to get back to it.
  std::chrono::seconds gate_wait{parasite::kGateWaitS};
  std::chrono::seconds leave_wait{parasite::kGateWaitS};
};

// Of an error of what follows: the task is not where it was frozen any more, it went home by itself and on,
// or is gone. Catch it again.
inline bool went_on(const Error& error) {
  return error.code() == Error::Code::Conflict || error.code() == Error::Code::TargetGone;
}

class TaskWatch : public Watch {
 public:
  explicit TaskWatch(SeizedTask& task) : task_(task) {}
  Result<void> check() override { return task_.check_running(); }

 private:
  SeizedTask& task_;
};

class InjectedParasite {
 public:
  // Before anything is stopped: what can be measured before.
  static void prepare() { arch::gate_spins_per_second(); }
  // To be asked of each thread before begin(), of all that share an address space before any of them begins.
  // `task` is stopped, `registers` are its own. Error::Conflict: it has not come home yet from a bpfckpt that
  // was killed, and what was read of it says nothing of the program: let it go, and take it again. Who waits
  // in the dead one's gate has been sent on, and is home.
  static Result<void> check_home(SeizedTask& task, const Registers& registers, pid_t pid,
                                 const RemoteRange& vdso);
  // Steps 1, 2 and the start of 3. `task` is stopped, `state` was read from it then; task and robust outlive
  // the parasite, and the task stays where it is in memory. On error the task is as it was.
  // Error::Unsupported: the thread cannot take a parasite (32-bit mode, shadow stack, no room for frame or
  // gate).
  static Result<InjectedParasite> begin(SeizedTask& task, RobustList& robust, const ThreadState& state,
                                        const Injection& injection);
  // Steps 3 and 4; the blob then runs. Error ENOMEM: the target has all the mappings it may have, or its
  // RLIMIT_AS is reached; ETIMEDOUT: it does not run. Error::Conflict: it waited in vain (gate_wait), went
  // home and is stopped somewhere on its way from there.
  Result<void> place();

  InjectedParasite(InjectedParasite&& other) noexcept;
  InjectedParasite& operator=(InjectedParasite&& other) noexcept;
  ~InjectedParasite();  // give_back(); errors are logged

  Batch batch() const { return Batch(area_->slot(0)); }
  TaskWatch watch() const { return TaskWatch(*task_); }
  RemoteRange area() const { return area_->range(); }
  SeizedTask& task() const { return *task_; }

  // Step 5. Precondition of begin_cure(): no batch is under way. After cure() the task is stopped, as before
  // begin(). Error::Conflict: as for place() (leave_wait).
  Result<void> begin_cure();
  Result<void> cure();
  // After an error: as cure(), without the blob's help, wherever the thread is; whoever goes through its gate
  // before it. Error::Conflict: as for place().
  Result<void> give_back();

  // Gives the target a duplicate of a descriptor of ours, to be closed by the blob if we die, and else by
  // drop_fd(). Its use counts as the target's: RLIMIT_FSIZE must be unlimited (a signal would be sent to it).
  // Error::Unsupported: seccomp, or such a limit; Error::System EMFILE: its table is full. Then use memory.h.
  // In three steps for many processes; receive_fd() does all.
  Result<void> begin_receive();
  Result<void> send_fd(int ours);
  Result<int> finish_receive();
  Result<int> receive_fd(int ours);
  Result<void> drop_fd(int theirs);

 private:
  enum class Stage { None, InGate, Placed };
  struct Saved {
    RemoteAddress at;
    std::vector<std::byte> bytes;
  };

  InjectedParasite() = default;
  Result<void> find_gate(const RemoteRange& vdso);
  Result<void> build_way_home();
  Result<void> build_frame_below(const Continuation& home, RemoteAddress top);
  Result<void> overwrite(RemoteAddress at, std::span<const std::byte> bytes);
  // Registers for a call through the gate; after it and the result.
  Registers call_registers(long nr, std::array<std::uint64_t, 6> args, std::uint64_t unmap_bytes) const;
  Result<void> enter_gate(const Registers& registers, long nr);
  struct Found {
    arch::GateState state = arch::GateState::Elsewhere;
    bool in_blob = false;
    std::int64_t result = 0;  // of the call through the gate, where that is done
    bool home() const { return state == arch::GateState::Elsewhere && !in_blob; }
  };
  Result<Found> stop_and_look();
  Result<std::int64_t> finish_call();
  Result<void> is_home();
  Result<std::int64_t> call(long nr, std::array<std::uint64_t, 6> args);
  Result<void> put_back();
  Result<void> wait_longer();
  void give_up(const char* what) noexcept;

  SeizedTask* task_ = nullptr;
  RobustList* robust_ = nullptr;
  ThreadState state_;
  Injection injection_;
  Stage stage_ = Stage::None;
  // It was sent into the gate, or told to go there, and has not been fetched yet: it may be home by now.
  bool sent_ = false;
  long sent_for_ = 0;  // which system call
  std::chrono::steady_clock::time_point sent_at_;
  RemoteAddress gate_;
  std::vector<std::byte> gate_before_;
  RemoteAddress frame_;
  RemoteAddress scratch_;
  std::uint64_t spins_ = 0;  // in the gate, without a scratch
  std::vector<Saved> stack_before_;
  std::optional<Area> area_;
  RemoteAddress pair_;  // of begin_receive()
  RemoteAddress message_;
};

}  // namespace bpfckpt::target
