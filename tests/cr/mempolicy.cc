// SPDX-License-Identifier: Apache-2.0
// NUMA policies of a mapping and of each thread, and a mapping without one.
#include <linux/mempolicy.h>

#include <thread>

#include "harness/cr_memory.h"

namespace {

struct Policy {
  int mode = -1;
  unsigned long nodes = 0;
};

Policy policy_of(const void* address) {
  Policy policy;
  REQUIRE(::syscall(SYS_get_mempolicy, &policy.mode, &policy.nodes, 64, address,
                    address == nullptr ? 0 : MPOL_F_ADDR) == 0);
  return policy;
}

}  // namespace

void cr::test() {
  const unsigned long node = 1;
  char* bound = map(4 * kPage);
  fill(bound, 1);
  if (::syscall(SYS_mbind, bound, 2 * kPage, MPOL_BIND | MPOL_F_STATIC_NODES, &node, 64, 0) != 0)
    skip("memory-policy");
  char* local = map(kPage);
  REQUIRE(::syscall(SYS_mbind, local, kPage, MPOL_LOCAL, nullptr, 0, 0) == 0);
  REQUIRE(::syscall(SYS_set_mempolicy, MPOL_INTERLEAVE, &node, 64) == 0);
  std::thread other([&] {
    REQUIRE(::syscall(SYS_set_mempolicy, MPOL_PREFERRED, &node, 64) == 0);
    wait_released();
    const Policy own = policy_of(nullptr);
    CHECK_EQ(own.mode, static_cast<int>(MPOL_PREFERRED));
    CHECK_EQ(own.nodes, node);
  });
  std::thread third([&] {
    REQUIRE(::syscall(SYS_set_mempolicy, MPOL_DEFAULT, nullptr, 0) == 0);
    wait_released();
    CHECK_EQ(policy_of(nullptr).mode, static_cast<int>(MPOL_DEFAULT));
  });
  await_waiting(2);

  checkpoint_here();

  CHECK_EQ(policy_of(bound).mode, static_cast<int>(MPOL_BIND | MPOL_F_STATIC_NODES));
  CHECK_EQ(policy_of(bound + kPage).nodes, node);
  CHECK_EQ(policy_of(local).mode, static_cast<int>(MPOL_LOCAL));
  CHECK(filled(bound, 1));
  CHECK_EQ(policy_of(bound + 2 * kPage).mode, static_cast<int>(MPOL_DEFAULT));
  CHECK_EQ(policy_of(nullptr).mode, static_cast<int>(MPOL_INTERLEAVE));
  CHECK_EQ(policy_of(nullptr).nodes, node);
  other.join();
  third.join();
}
