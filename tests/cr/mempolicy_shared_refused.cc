// SPDX-License-Identifier: Apache-2.0
// A policy on shared memory belongs to the memory, not to the mapping.
#include <linux/mempolicy.h>

#include "harness/cr_memory.h"

void cr::test() {
  const unsigned long node = 1;
  char* shared = map(2 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  if (::syscall(SYS_mbind, shared, kPage, MPOL_BIND, &node, 64, 0) != 0) skip("memory-policy");
  checkpoint_here();
  int mode = 0;
  CHECK(::syscall(SYS_get_mempolicy, &mode, nullptr, 0, shared, MPOL_F_ADDR) == 0 && mode == MPOL_BIND);
}

cr::Options cr::options() {
  return {.refused = "shared memory with a NUMA policy of its own"};
}
