// SPDX-License-Identifier: Apache-2.0
// The program break is where it was, the heap below it too, and it goes on growing and shrinking.
#include "harness/cr_memory.h"

void cr::test() {
  auto* before = static_cast<char*>(::sbrk(37 * kPage + 123));
  REQUIRE(before != reinterpret_cast<char*>(-1));
  auto* end = static_cast<char*>(::sbrk(0));
  for (char* p = before; p < end; ++p) *p = static_cast<char>(p - before);
  checkpoint_here();
  CHECK_EQ(::sbrk(0), end);
  bool same = true;
  for (char* p = before; p < end; ++p) same = same && *p == static_cast<char>(p - before);
  CHECK(same);
  CHECK_EQ(::sbrk(100 * kPage), end);
  std::memset(end, 7, 100 * kPage);
  CHECK(::sbrk(-120 * static_cast<long>(kPage)) != reinterpret_cast<void*>(-1));
  std::vector<std::string> blocks(20000, std::string(100, 'x'));
  CHECK_EQ(blocks.back().size(), 100U);
}
