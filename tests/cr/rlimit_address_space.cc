// SPDX-License-Identifier: Apache-2.0
// A process that has used up its address-space limit to the last page: there is no room for anything to be
// mapped into it.
#include <sys/mman.h>
#include <sys/resource.h>

#include <fstream>

#include "harness/cr_test.h"

void cr::test() {
  // One area more, so that the limit can be met exactly whatever the allocator does before.
  void* reserve = ::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(reserve != MAP_FAILED);
  unsigned long pages = 0;
  {
    std::ifstream statm("/proc/self/statm");
    statm >> pages;
  }
  const rlimit limit{pages * 4096, RLIM_INFINITY};
  REQUIRE(::setrlimit(RLIMIT_AS, &limit) == 0);
  // The stream's buffer may have gone back to the kernel: what can be mapped now is less than a page or so.
  while (::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
  }
  CHECK_EQ(errno, ENOMEM);
  checkpoint_here();
  CHECK(::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  CHECK_EQ(errno, ENOMEM);
  REQUIRE(::munmap(reserve, 1 << 20) == 0);
  CHECK(::mmap(nullptr, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}
