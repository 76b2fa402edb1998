// SPDX-License-Identifier: Apache-2.0
// What taking over a thread needs to know of the machine. Implemented once an architecture, in target/ARCH/.
#pragma once

#include <sys/user.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "target/address.h"

namespace bpfckpt::target {

// NT_PRSTATUS as ptrace gives it.
using Registers = user_regs_struct;

// What a call interrupted with -ERESTART_RESTARTBLOCK waits for: restart_block.fn names the kind of call (its
// number may be lost: a second interruption finds restart_syscall(2) in its place), and the time that is left
// of its limit.
struct RestartCall {
  std::uint32_t call = 0;  // system call number; nanosleep(2) may be called clock_nanosleep(2)
  std::optional<std::int64_t> remaining_ns;  // nullopt: as the arguments say, or no limit
  int clock = 0;                             // CLOCK_* that a sleep is measured by
};

// A thread's registers, and bytes that must be in its memory when it goes on with them. The bytes lie in the
// dead part of its stack and are read by the first instruction that runs.
struct Continuation {
  Registers registers;
  RemoteAddress patch_at;
  std::vector<std::byte> patch;  // may be empty
};

namespace arch {

RemoteAddress program_counter(const Registers& registers);
void set_program_counter(Registers& registers, RemoteAddress address);
RemoteAddress stack_pointer(const Registers& registers);
bool is_native(const Registers& registers);  // not in 32-bit mode

// -EINTR of calls that return it whenever a thread is interrupted, as epoll_wait(2) does, instead of being
// restarted (signal(7)), would be seen by the program; turned into -ERESTARTNOHAND, the kernel makes the call
// again unless a handler runs. True if it was changed. Precondition: a PTRACE_EVENT_STOP, before a signal
// frame is made.
bool hide_interruption(Registers& registers);

// True if the thread is at a system call instruction to make restart_syscall(2): the kernel had set that up
// when the thread was stopped again. `code` is what lies at the program counter.
bool restarting(const Registers& registers, std::span<const std::byte, 2> code);

// How a thread goes on whose restart_block is lost: in a restored process, or through a sigreturn frame. Set
// by SETREGSET in a PTRACE_EVENT_STOP, the kernel itself finishes what was interrupted, exactly as it would
// have: -ERESTARTSYS and its kin stay; -ERESTART_RESTARTBLOCK becomes -ERESTARTNOHAND of the call that
// `restart` names (nullopt: the call in the registers, with all of its time). `at_restart` is restarting()'s
// answer.
Continuation continue_afresh(const Registers& stopped, const std::optional<RestartCall>& restart,
                             bool at_restart);

// The same where the kernel does not look at interrupted calls, after rt_sigreturn(2): calls to be made again
// are.
Continuation continue_by_sigreturn(const Registers& stopped, const std::optional<RestartCall>& restart,
                                   bool at_restart);

// An rt_sigframe below `top` that brings a thread back to `registers`, extended state and mask; the alternate
// signal stack is left as it is. `frame` is where the stack pointer has to be at rt_sigreturn(2).
struct SignalFrame {
  RemoteAddress at;  // of bytes[0]
  RemoteAddress frame;
  std::vector<std::byte> bytes;
};
SignalFrame build_frame(const Registers& registers, std::span<const std::byte> xstate, std::uint64_t sigmask,
                        RemoteAddress top);
// Bytes below the stack pointer that the ABI gives to the running function.
inline constexpr std::uint64_t kRedZone = 128;

// Registers to enter the gate with, for one system call, with the way home in place.
struct GateCall {
  RemoteAddress gate;
  RemoteAddress frame;
  RemoteAddress scratch;  // 0: spin
  std::uint64_t spins = 0;
  std::uint64_t unmap_bytes = 0;  // of the result, if nobody comes; 0: nothing
  long nr = 0;
  std::array<std::uint64_t, 6> args{};
};
Registers enter_gate(const Registers& base, const GateCall& call);
// Where a thread stopped that was sent into the gate at `gate`: before its system call, behind it with its
// result, on its way home, or there.
enum class GateState { NotYet, Done, Leaving, Elsewhere };
GateState gate_state(const Registers& registers, RemoteAddress gate, std::int64_t& result);
// Registers for a thread that waits in the gate (Done) to go home at once.
Registers leave_gate(const Registers& registers, RemoteAddress gate);
// How many rounds of the gate's loop a second has on this processor.
std::uint64_t gate_spins_per_second();
// Registers to make rt_sigreturn(2) through the gate at once.
Registers enter_sigreturn(const Registers& base, RemoteAddress gate, RemoteAddress frame);
// Registers to start the blob with (parasite/ARCH/blob_start.S).
struct BlobStart {
  RemoteAddress area;
  std::uint64_t area_len_bytes = 0;
  RemoteAddress slot;
  RemoteAddress frame;
  RemoteAddress gate_home;
  bool unmap_on_failure = true;
};
Registers enter_blob(const Registers& base, const BlobStart& start);

// Registers to make one system call at `instruction`, whatever follows it: for threads stopped again by
// ptrace.
Registers enter_call(const Registers& base, RemoteAddress instruction, long nr,
                     std::array<std::uint64_t, 6> args);
std::int64_t call_result(const Registers& registers);

// Offset of a system call instruction in the code.
Result<std::uint64_t> call_offset(std::span<const std::byte> code);

// Where the gate goes in a vDSO of `image`: an offset, into its zero tail or over its section headers, which
// nobody reads at run time. Error::Unsupported if there is no room.
Result<std::size_t> gate_offset(std::span<const std::byte> image, std::size_t gate_bytes);

// The regset that is there only while a thread has a shadow stack: such a thread cannot go home by a frame of
// ours.
extern const int kShadowStackRegset;
extern const int kExtendedRegset;

}  // namespace arch
}  // namespace bpfckpt::target
