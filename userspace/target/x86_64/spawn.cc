// SPDX-License-Identifier: Apache-2.0
#include "target/spawn.h"

#include <fcntl.h>
#include <sys/syscall.h>

#include <cstddef>

namespace bpfckpt::target {

// The child's part is one stretch of assembly without a single push: parent and child share the stack, and
// code that the compiler made could change a slot of it that the parent still needs.
Spawned spawn(const clone_args& args, const Execution& execution) {
  clone_args cloned = args;
  cloned.flags |= CLONE_VM | CLONE_VFORK;
  long pid = SYS_clone3;
  long child_error = 0;
  register const Execution* in asm("rbx") = &execution;
  register long* error asm("r12") = &child_error;
  register const char* no_path asm("r13") = "";
  asm volatile(
      "syscall\n"
      "test %%rax, %%rax\n"
      "jnz 1f\n"
      "movslq %c[keep](%%rbx), %%rdi\n"
      "mov %[f_setfd], %%esi\n"
      "xor %%edx, %%edx\n"
      "mov %[sys_fcntl], %%eax\n"
      "syscall\n"
      "test %%rax, %%rax\n"
      "js 2f\n"
      "movslq %c[program](%%rbx), %%rdi\n"
      "mov %%r13, %%rsi\n"
      "mov %c[argv](%%rbx), %%rdx\n"
      "mov %c[envp](%%rbx), %%r10\n"
      "mov %[empty_path], %%r8d\n"
      "mov %[sys_execveat], %%eax\n"
      "syscall\n"
      "2:\n"
      "neg %%rax\n"
      "mov %%rax, (%%r12)\n"
      "mov $127, %%edi\n"
      "mov %[sys_exit], %%eax\n"
      "syscall\n"
      "ud2\n"
      "1:\n"
      : "+a"(pid)
      : "D"(&cloned), "S"(sizeof cloned), "r"(in), "r"(error),
        "r"(no_path), [keep] "i"(offsetof(Execution, keep_fd)),
        [program] "i"(offsetof(Execution, program_fd)), [argv] "i"(offsetof(Execution, argv)),
        [envp] "i"(offsetof(Execution, envp)), [f_setfd] "i"(F_SETFD), [empty_path] "i"(AT_EMPTY_PATH),
        [sys_fcntl] "i"(SYS_fcntl), [sys_execveat] "i"(SYS_execveat), [sys_exit] "i"(SYS_exit)
      : "rcx", "rdx", "r8", "r10", "r11", "memory", "cc");
  return {pid, child_error};
}

}  // namespace bpfckpt::target
