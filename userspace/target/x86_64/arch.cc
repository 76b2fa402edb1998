// SPDX-License-Identifier: Apache-2.0
#include "target/arch.h"

#include <cpuid.h>
#include <elf.h>
#include <linux/futex.h>
#include <sys/auxv.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>

#include "parasite/embedded.h"
#include "parasite/protocol.h"

namespace bpfckpt::target::arch {
namespace {

// include/linux/errno.h: seen by ptrace only.
constexpr long kErestartsys = 512;
constexpr long kErestartnointr = 513;
constexpr long kErestartnohand = 514;
constexpr long kErestartRestartblock = 516;

constexpr std::uint64_t kUserCs = 0x33;
constexpr std::uint64_t kNoSystemCall = ~std::uint64_t{0};  // orig_rax
constexpr std::uint64_t kCallBytes = 2;                     // 0f 05
// Trap, direction and alignment-check flags: of the interrupted program, not of code of ours.
constexpr std::uint64_t kForeignFlags = 0x100 | 0x400 | 0x40000;

long error_of(const Registers& registers) {
  return static_cast<long>(registers.orig_rax) >= 0 ? -static_cast<long>(registers.rax) : 0;
}

void set_error(Registers& registers, long error) {
  registers.rax = static_cast<std::uint64_t>(-error);
}

timespec to_timespec(std::int64_t ns) {
  ns = std::max<std::int64_t>(ns, 0);
  return {.tv_sec = ns / 1'000'000'000, .tv_nsec = ns % 1'000'000'000};
}

// Puts what is left of the time limit where `call` takes it.
void limit(Continuation& to, std::uint32_t call, std::int64_t remaining_ns) {
  unsigned long long* pointer = nullptr;
  switch (call) {
    case SYS_poll:
      to.registers.rdx =
          static_cast<std::uint64_t>(std::max<std::int64_t>(remaining_ns + 999'999, 0) / 1'000'000);
      return;
    case SYS_nanosleep:
      pointer = &to.registers.rdi;
      break;
    case SYS_clock_nanosleep:  // an absolute one has no restart_block
      pointer = &to.registers.rdx;
      break;
    case SYS_futex:
      if ((to.registers.rsi & FUTEX_CMD_MASK) != FUTEX_WAIT) return;  // the others' limits are absolute
      pointer = &to.registers.r10;
      break;
    default:
      return;
  }
  const timespec left = to_timespec(remaining_ns);
  to.patch.resize(sizeof left);
  std::memcpy(to.patch.data(), &left, sizeof left);
  to.patch_at = RemoteAddress((to.registers.rsp - kRedZone - sizeof left) & ~std::uint64_t{15});
  *pointer = to.patch_at.value();
}

// The call whose arguments are in the registers, which interruptions leave alone. Both sleeps have the same
// restart_block. nanosleep(2), which is by CLOCK_MONOTONIC, has a pointer where the other has its clock.
std::uint32_t call_to_make(const Registers& registers, const std::optional<RestartCall>& restart) {
  if (registers.orig_rax != SYS_restart_syscall || !restart)
    return static_cast<std::uint32_t>(registers.orig_rax);
  if (restart->call == SYS_clock_nanosleep && static_cast<int>(registers.rdi) != restart->clock)
    return SYS_nanosleep;
  return restart->call;
}

// struct sigcontext and struct ucontext as rt_sigreturn(2) reads them
// (arch/x86/include/uapi/asm/sigcontext.h).
struct SignalContext {
  std::uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip, flags;
  std::uint16_t cs, gs, fs, ss;
  std::uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};
struct UserContext {
  std::uint64_t flags, link;
  std::uint64_t stack_sp;
  std::uint32_t stack_flags, pad;
  std::uint64_t stack_size;
  SignalContext machine;
  std::uint64_t sigmask;
};
static_assert(sizeof(SignalContext) == 256);
static_assert(sizeof(UserContext) == 304);
constexpr std::uint64_t kUcFpXstate = 1;
constexpr std::uint64_t kUcSigcontextSs = 2;
constexpr std::uint64_t kUcStrictRestoreSs = 4;

// struct _fpx_sw_bytes, in the frame's extended state at kSoftwareBytes. ptrace gives XCR0 in its first word.
struct SoftwareBytes {
  std::uint32_t magic1;
  std::uint32_t extended_size;
  std::uint64_t xfeatures;
  std::uint32_t xstate_size;
  std::uint32_t padding[7];
};
static_assert(sizeof(SoftwareBytes) == 48);
constexpr std::size_t kSoftwareBytes = 464;
constexpr std::size_t kXstateHeader = 512;
constexpr std::uint32_t kXstateMagic1 = 0x46505853;
constexpr std::uint32_t kXstateMagic2 = 0x46505845;
constexpr unsigned kTileData = 18;

// ptrace always shows room for every component; rt_sigreturn(2) takes no more than the thread may use: tile
// data only where the program asked for it (fpu_user_cfg.default_size). Returns the bytes that hold all other
// components, or all of them if there is tile data.
std::size_t frame_xstate_size(std::span<const std::byte> xstate) {
  std::uint64_t xcr0 = 0;
  std::uint64_t in_use = 0;
  std::memcpy(&xcr0, xstate.data() + kSoftwareBytes, sizeof xcr0);
  std::memcpy(&in_use, xstate.data() + kXstateHeader, sizeof in_use);
  if ((xcr0 >> kTileData & 1) == 0 || (in_use >> kTileData & 1) != 0) return xstate.size();
  std::size_t end = kXstateHeader + 64;
  for (unsigned component = 2; component < 63; ++component) {
    if (component == kTileData || (xcr0 >> component & 1) == 0) continue;
    unsigned size = 0, offset = 0, flags = 0, reserved = 0;
    if (__get_cpuid_count(0xd, component, &size, &offset, &flags, &reserved) != 0)
      end = std::max(end, static_cast<std::size_t>(offset) + size);
  }
  return std::min(end, xstate.size());
}

Registers outside_of_calls(const Registers& base) {
  Registers registers = base;
  registers.orig_rax = kNoSystemCall;
  registers.eflags &= ~kForeignFlags;
  return registers;
}

}  // namespace

const int kShadowStackRegset = 0x204;  // NT_X86_SHSTK, since 6.6
const int kExtendedRegset = NT_X86_XSTATE;

RemoteAddress program_counter(const Registers& registers) {
  return RemoteAddress(registers.rip);
}
void set_program_counter(Registers& registers, RemoteAddress address) {
  registers.rip = address.value();
}
RemoteAddress stack_pointer(const Registers& registers) {
  return RemoteAddress(registers.rsp);
}
bool is_native(const Registers& registers) {
  return registers.cs == kUserCs;
}

bool hide_interruption(Registers& registers) {
  if (error_of(registers) != EINTR || !is_native(registers)) return false;
  switch (registers.orig_rax) {
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_rt_sigtimedwait:
    case SYS_io_getevents:
    case SYS_io_pgetevents:
    // With a receive or send time limit on the socket (sock_intr_errno()).
    case SYS_read:
    case SYS_readv:
    case SYS_write:
    case SYS_writev:
    case SYS_accept:
    case SYS_accept4:
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
      set_error(registers, kErestartnohand);
      return true;
    default:
      return false;
  }
}

bool restarting(const Registers& registers, std::span<const std::byte, 2> code) {
  return registers.rax == SYS_restart_syscall && is_native(registers) && code[0] == std::byte{0x0f} &&
         code[1] == std::byte{0x05};
}

Continuation continue_afresh(const Registers& stopped, const std::optional<RestartCall>& restart,
                             bool at_restart) {
  Continuation to{.registers = stopped, .patch_at = {}, .patch = {}};
  Registers& registers = to.registers;
  if (at_restart) {
    // Undo what the kernel did: back behind the call that was interrupted.
    registers.rip += kCallBytes;
    set_error(registers, kErestartRestartblock);
    if (static_cast<long>(registers.orig_rax) < 0) registers.orig_rax = SYS_restart_syscall;
  }
  if (error_of(registers) != kErestartRestartblock) return to;
  const std::uint32_t call = call_to_make(registers, restart);
  if (call == SYS_restart_syscall) {
    // Nobody knows which call it was: as a kernel that lost the block (do_no_restart_syscall()).
    set_error(registers, EINTR);
    return to;
  }
  // -ERESTARTNOHAND is what the kernel makes of it, too: -EINTR if a handler runs, else the call again.
  registers.orig_rax = call;
  set_error(registers, kErestartnohand);
  if (restart && restart->remaining_ns) limit(to, call, *restart->remaining_ns);
  return to;
}

Continuation continue_by_sigreturn(const Registers& stopped, const std::optional<RestartCall>& restart,
                                   bool at_restart) {
  Continuation to = continue_afresh(stopped, restart, at_restart);
  const long error = error_of(to.registers);
  if (error == kErestartsys || error == kErestartnointr || error == kErestartnohand) {
    to.registers.rax = to.registers.orig_rax;
    to.registers.rip -= kCallBytes;
  }
  to.registers.orig_rax = kNoSystemCall;
  return to;
}

SignalFrame build_frame(const Registers& registers, std::span<const std::byte> xstate, std::uint64_t sigmask,
                        RemoteAddress top) {
  const std::size_t xstate_size = frame_xstate_size(xstate);
  const std::uint64_t fpstate = (top.value() - xstate_size - sizeof kXstateMagic2) & ~std::uint64_t{63};
  const std::uint64_t context_at = (fpstate - sizeof(UserContext)) & ~std::uint64_t{15};
  SignalFrame frame{.at = RemoteAddress(context_at), .frame = RemoteAddress(context_at), .bytes = {}};
  frame.bytes.resize(top.value() - context_at);

  UserContext context{};
  context.flags = kUcFpXstate | kUcSigcontextSs | kUcStrictRestoreSs;
  // Invalid on purpose: restore_altstack() then leaves the thread's alternate stack as it is.
  context.stack_flags = 0x7777;
  context.machine = {.r8 = registers.r8,
                     .r9 = registers.r9,
                     .r10 = registers.r10,
                     .r11 = registers.r11,
                     .r12 = registers.r12,
                     .r13 = registers.r13,
                     .r14 = registers.r14,
                     .r15 = registers.r15,
                     .di = registers.rdi,
                     .si = registers.rsi,
                     .bp = registers.rbp,
                     .bx = registers.rbx,
                     .dx = registers.rdx,
                     .ax = registers.rax,
                     .cx = registers.rcx,
                     .sp = registers.rsp,
                     .ip = registers.rip,
                     .flags = registers.eflags,
                     .cs = static_cast<std::uint16_t>(registers.cs),
                     .gs = 0,
                     .fs = 0,
                     .ss = static_cast<std::uint16_t>(registers.ss),
                     .err = 0,
                     .trapno = 0,
                     .oldmask = 0,
                     .cr2 = 0,
                     .fpstate = fpstate,
                     .reserved = {}};
  context.sigmask = sigmask;
  std::memcpy(frame.bytes.data(), &context, sizeof context);

  std::byte* extended = frame.bytes.data() + (fpstate - context_at);
  std::memcpy(extended, xstate.data(), xstate_size);
  SoftwareBytes software{};
  software.magic1 = kXstateMagic1;
  software.extended_size = static_cast<std::uint32_t>(xstate_size + sizeof kXstateMagic2);
  std::memcpy(&software.xfeatures, xstate.data() + kSoftwareBytes, sizeof software.xfeatures);
  if (xstate_size != xstate.size()) software.xfeatures &= ~(std::uint64_t{1} << kTileData);
  software.xstate_size = static_cast<std::uint32_t>(xstate_size);
  std::memcpy(extended + kSoftwareBytes, &software, sizeof software);
  std::memcpy(extended + xstate_size, &kXstateMagic2, sizeof kXstateMagic2);
  return frame;
}

Registers enter_gate(const Registers& base, const GateCall& call) {
  Registers registers = outside_of_calls(base);
  registers.rip = call.gate.value();
  registers.rsp = call.frame.value();
  registers.rax = static_cast<std::uint64_t>(call.nr);
  registers.rdi = call.args[0];
  registers.rsi = call.args[1];
  registers.rdx = call.args[2];
  registers.r10 = call.args[3];
  registers.r8 = call.args[4];
  registers.r9 = call.args[5];
  registers.rbx = call.scratch.value();
  registers.r13 = call.spins;
  registers.r14 = call.unmap_bytes;
  return registers;
}

GateState gate_state(const Registers& registers, RemoteAddress gate, std::int64_t& result) {
  const parasite::Gate code = parasite::gate();
  const std::uint64_t offset = registers.rip - gate.value();
  if (offset == 0) return GateState::NotYet;
  if (offset == code.after_call)
    result = static_cast<std::int64_t>(registers.rax);
  else if (offset > code.after_call && offset <= code.home)
    result = static_cast<std::int64_t>(registers.r15);
  else
    return offset < code.code.size() ? GateState::Leaving : GateState::Elsewhere;
  return GateState::Done;
}

Registers leave_gate(const Registers& registers, RemoteAddress gate) {
  const parasite::Gate code = parasite::gate();
  Registers home = outside_of_calls(registers);
  if (registers.rip == gate.value() + code.after_call) home.r15 = registers.rax;
  home.rip = gate.value() + code.home;
  return home;
}

// `pause` takes from ten to well over a hundred cycles. The fastest of some tries: others were interrupted.
std::uint64_t gate_spins_per_second() {
  constexpr int kTries = 4;
  constexpr std::uint64_t kRounds = 1000;
  using Clock = std::chrono::steady_clock;
  static const std::uint64_t measured = [] {
    auto fastest = Clock::duration::max();
    for (int i = 0; i < kTries; i++) {
      const auto begin = Clock::now();
      for (std::uint64_t rounds = kRounds; rounds != 0; rounds--) asm volatile("pause");
      fastest = std::min(fastest, Clock::now() - begin);
    }
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(fastest).count();
    return kRounds * 1'000'000'000 / static_cast<std::uint64_t>(std::max<std::int64_t>(ns, 1));
  }();
  return measured;
}

Registers enter_sigreturn(const Registers& base, RemoteAddress gate, RemoteAddress frame) {
  Registers registers = outside_of_calls(base);
  registers.rip = gate.value() + parasite::gate().sigreturn;
  registers.rsp = frame.value();
  return registers;
}

Registers enter_blob(const Registers& base, const BlobStart& start) {
  Registers registers = outside_of_calls(base);
  registers.rip = start.area.value();
  registers.r12 = start.slot.value();
  registers.rdi = start.area.value() + parasite::kCodeBytes;
  registers.rsi = start.area_len_bytes - parasite::kCodeBytes;
  registers.rdx = 3;  // PROT_READ | PROT_WRITE
  registers.rbp = start.frame.value();
  registers.r13 = start.gate_home.value();
  registers.r14 = start.unmap_on_failure ? start.area_len_bytes : 0;
  registers.r15 = start.area.value();
  return registers;
}

Registers enter_call(const Registers& base, RemoteAddress instruction, long nr,
                     std::array<std::uint64_t, 6> args) {
  return enter_gate(base, {.gate = instruction,
                           .frame = RemoteAddress(base.rsp),
                           .scratch = {},
                           .unmap_bytes = 0,
                           .nr = nr,
                           .args = args});
}

std::int64_t call_result(const Registers& registers) {
  return static_cast<std::int64_t>(registers.rax);
}

Result<std::uint64_t> call_offset(std::span<const std::byte> code) {
  // Any place with these two bytes will do: decoding starts there.
  constexpr std::array kCall = {std::byte{0x0f}, std::byte{0x05}};
  const auto found = std::ranges::search(code, kCall);
  if (found.empty()) return fail(Error::bug("no system call instruction in the code"));
  return static_cast<std::uint64_t>(found.begin() - code.begin());
}

Result<std::size_t> gate_offset(std::span<const std::byte> image, std::size_t gate_bytes) {
  Elf64_Ehdr header;
  if (image.size() < sizeof header + gate_bytes) return fail(Error::unsupported("a vDSO of no pages"));
  std::memcpy(&header, image.data(), sizeof header);
  const std::size_t at = image.size() - gate_bytes;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_shoff > at)
    return fail(Error::unsupported("no room at the end of the vDSO"));
  return at;
}

}  // namespace bpfckpt::target::arch
