// SPDX-License-Identifier: Apache-2.0
// General registers and flags of a thread that sits in no system call are the same afterwards. The loop uses
// only instructions that change no flags (mov, pause, jrcxz), so that even those must be restored.
#include <cstddef>
#include <cstdint>
#include <thread>

#include "harness/cr_test.h"

namespace {

constexpr int kRegisters = 11;  // r8-r15, rdi, rsi, rdx

struct Frame {
  std::uint64_t in[kRegisters];
  std::uint64_t out[kRegisters];
  std::uint64_t flags_before;
  std::uint64_t flags_after;
};

// Loads all registers, waits for *go, stores them again. rbx holds the frame, rax the flag's address.
void spin(Frame& frame, const volatile std::uint32_t& go) {
  asm volatile(
      "lea -256(%%rsp), %%rsp\n"
      "mov 0(%%rbx), %%r8\n mov 8(%%rbx), %%r9\n mov 16(%%rbx), %%r10\n mov 24(%%rbx), %%r11\n"
      "mov 32(%%rbx), %%r12\n mov 40(%%rbx), %%r13\n mov 48(%%rbx), %%r14\n mov 56(%%rbx), %%r15\n"
      "mov 64(%%rbx), %%rdi\n mov 72(%%rbx), %%rsi\n mov 80(%%rbx), %%rdx\n"
      "mov $0x7fffffff, %%ecx\n add $1, %%ecx\n stc\n std\n"  // OF SF AF CF DF
      "pushfq\n popq %c[before](%%rbx)\n"
      "1: pause\n mov (%%rax), %%ecx\n jrcxz 1b\n"
      "pushfq\n popq %c[after](%%rbx)\n cld\n"
      "mov %%r8, 88(%%rbx)\n mov %%r9, 96(%%rbx)\n mov %%r10, 104(%%rbx)\n mov %%r11, 112(%%rbx)\n"
      "mov %%r12, 120(%%rbx)\n mov %%r13, 128(%%rbx)\n mov %%r14, 136(%%rbx)\n mov %%r15, 144(%%rbx)\n"
      "mov %%rdi, 152(%%rbx)\n mov %%rsi, 160(%%rbx)\n mov %%rdx, 168(%%rbx)\n"
      "lea 256(%%rsp), %%rsp\n"
      :
      : "b"(&frame),
        "a"(&go), [before] "i"(offsetof(Frame, flags_before)), [after] "i"(offsetof(Frame, flags_after))
      : "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rdi", "rsi", "rdx", "rcx", "cc", "memory");
}

}  // namespace

void cr::test() {
  Frame frame{};
  for (int i = 0; i < kRegisters; ++i) frame.in[i] = 0x9e3779b97f4a7c15 * (i + 1);
  volatile std::uint32_t go = 0;
  std::thread thread([&] { spin(frame, go); });
  while (*static_cast<volatile std::uint64_t*>(&frame.flags_before) == 0) ::usleep(1000);
  checkpoint_here();
  go = 1;
  thread.join();
  for (int i = 0; i < kRegisters; ++i) CHECK_EQ(frame.out[i], frame.in[i]);
  CHECK_EQ(frame.flags_after, frame.flags_before);
  CHECK((frame.flags_before & 0xc81) == 0xc81);  // OF DF SF CF were set
}
