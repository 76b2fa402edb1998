// SPDX-License-Identifier: Apache-2.0
// Code that was made at run time runs on, and so does code that was patched into the program's own text.
#include "harness/cr_memory.h"

namespace {
__attribute__((noinline, aligned(4096))) int patched() {
  asm volatile("");
  return 1;
}
}  // namespace

void cr::test() {
  auto* code = reinterpret_cast<unsigned char*>(map(kPage));
  const unsigned char add[] = {0x8d, 0x04, 0x37, 0xc3};  // lea (%rdi,%rsi), %eax; ret
  std::memcpy(code, add, sizeof(add));
  REQUIRE(::mprotect(code, kPage, PROT_READ | PROT_EXEC) == 0);
  int (*volatile call)() = patched;
  CHECK_EQ(call(), 1);
  auto* text = reinterpret_cast<unsigned char*>(reinterpret_cast<std::uintptr_t>(call) & ~(kPage - 1));
  REQUIRE(::mprotect(text, kPage, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
  const unsigned char two[] = {0xb8, 0x02, 0x00, 0x00, 0x00, 0xc3};  // mov $2, %eax; ret
  std::memcpy(reinterpret_cast<void*>(call), two, sizeof(two));
  REQUIRE(::mprotect(text, kPage, PROT_READ | PROT_EXEC) == 0);
  checkpoint_here();
  CHECK_EQ(reinterpret_cast<int (*)(int, int)>(code)(40, 2), 42);
  CHECK_EQ(call(), 2);
}
