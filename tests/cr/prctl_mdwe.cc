// SPDX-License-Identifier: Apache-2.0
// Memory deny-write-execute, which cannot be taken back once set and stands in the way of any injected code.
#include <sys/mman.h>
#include <sys/prctl.h>

#include "harness/cr_test.h"

#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#define PR_GET_MDWE 66
#endif

void cr::test() {
  if (::prctl(PR_SET_MDWE, 1, 0, 0, 0) != 0) skip("mdwe");
  checkpoint_here();
  CHECK_EQ(::prctl(PR_GET_MDWE, 0, 0, 0, 0), 1);
  CHECK(::mmap(nullptr, 4096, PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
}
