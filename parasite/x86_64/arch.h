// SPDX-License-Identifier: Apache-2.0
// x86-64: the few lines of the blob and the stub that are not C++.
#pragma once

#include <stdint.h>

#include "parasite/protocol.h"

namespace bpfckpt::parasite {

// Numbers from arch/x86/entry/syscalls/syscall_64.tbl: the blob includes no system header.
enum SystemCall : long {
  kSysClose = 3,
  kSysMmap = 9,
  kSysMprotect = 10,
  kSysMunmap = 11,
  kSysGettid = 186,
  kSysFutex = 202,
  kSysClockGettime = 228,
  kSysExitGroup = 231,
  kSysClone3 = 435,
  kSysCloseRange = 436,
  kSysFutexWaitv = 449,
};

inline int64_t system_call(int64_t nr, int64_t a = 0, int64_t b = 0, int64_t c = 0, int64_t d = 0,
                           int64_t e = 0, int64_t f = 0) {
  register int64_t r10 asm("r10") = d;
  register int64_t r8 asm("r8") = e;
  register int64_t r9 asm("r9") = f;
  asm volatile("syscall"
               : "+a"(nr)
               : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return nr;
}

// clone3() whose child goes on in interpret(slot), on that slot's stack. A thread shares the caller's stack
// until it has loaded its own: between the system call and that load nothing touches the stack.
inline int64_t clone_into(int64_t clone_args, int64_t size, const Slot* slot) {
  int64_t result;
  register const Slot* child asm("r12") = slot;
  asm volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 1f\n"
      "mov %c[stack](%%r12), %%rsp\n"
      "xor %%ebp, %%ebp\n"
      "mov %%r12, %%rdi\n"
      "call bpfckpt_interpret\n"
      "ud2\n"
      "1:"
      : "=a"(result)
      : "a"((long)kSysClone3), "D"(clone_args), "S"(size),
        "r"(child), [stack] "i"(__builtin_offsetof(Slot, stack_top))
      : "rcx", "r11", "memory");
  return result;
}

// Into the gate, to unmap the area and then to be found there by ptrace. If nobody comes, the gate goes home.
[[noreturn]] inline void leave_and_park(const Header& header, const Slot& slot) {
  register uint64_t to_unmap asm("r14") = 0;
  register uint64_t spins asm("r13") = header.gate_spins;
  asm volatile("mov %[frame], %%rsp\n jmp *%[gate]"
               :
               : [frame] "r"(slot.frame), [gate] "r"(header.gate_call), "a"((long)kSysMunmap),
                 "D"(header.base), "S"(header.len_bytes), "b"(slot.scratch), "r"(to_unmap), "r"(spins)
               : "memory");
  __builtin_unreachable();
}

// Into the gate's way home: unmaps `len_bytes` (0: nothing) and goes on as the target was.
[[noreturn]] inline void go_home(const Header& header, const Slot& slot, uint64_t len_bytes) {
  register uint64_t to_unmap asm("r14") = len_bytes;
  register uint64_t start asm("r15") = header.base;
  asm volatile("mov %[frame], %%rsp\n jmp *%[gate]"
               :
               : [frame] "r"(slot.frame), [gate] "r"(header.gate_home), "r"(to_unmap), "r"(start)
               : "memory");
  __builtin_unreachable();
}

// Out of the stub into the blob; the area is already writable where it must be.
[[noreturn]] inline void enter_blob(uint64_t base, uint64_t slot) {
  register uint64_t into asm("r12") = slot;
  asm volatile("jmp *%0" : : "r"(base), "r"(into), "D"(0L) : "memory");
  __builtin_unreachable();
}

}  // namespace bpfckpt::parasite
