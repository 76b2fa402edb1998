// SPDX-License-Identifier: Apache-2.0
// The personality: address randomisation off, READ_IMPLIES_EXEC on (new readable mappings become executable).
#include <sys/mman.h>
#include <sys/personality.h>

#include "harness/cr_test.h"

void cr::test() {
  constexpr unsigned kPersonality = ADDR_NO_RANDOMIZE | READ_IMPLIES_EXEC | ADDR_COMPAT_LAYOUT;
  REQUIRE(::personality(kPersonality) >= 0);
  checkpoint_here();
  CHECK_EQ(::personality(0xffffffff), static_cast<int>(kPersonality));
  auto* code = static_cast<unsigned char*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  REQUIRE(code != MAP_FAILED);
  code[0] = 0xc3;  // ret
  reinterpret_cast<void (*)()>(code)();
}
