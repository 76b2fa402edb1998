// SPDX-License-Identifier: Apache-2.0
// Protection keys: the key of each mapping and every thread's rights to it (PKRU, a part of the extended
// registers).
#include "harness/cr_memory.h"

void cr::test() {
  const int denied = ::pkey_alloc(0, PKEY_DISABLE_ACCESS);
  if (denied < 0) skip("protection-keys");
  const int written = ::pkey_alloc(0, 0);
  REQUIRE(written >= 0);
  char* secret = map(kPage);
  char* open = map(kPage);
  fill(secret, 1);
  fill(open, 2);
  REQUIRE(::pkey_mprotect(secret, kPage, PROT_READ | PROT_WRITE, denied) == 0);
  REQUIRE(::pkey_mprotect(open, kPage, PROT_READ | PROT_WRITE, written) == 0);
  checkpoint_here();
  CHECK_EQ(::pkey_get(denied), PKEY_DISABLE_ACCESS);
  CHECK_EQ(::pkey_get(written), 0);
  CHECK(filled(open, 2));
  CHECK_EQ(::pkey_set(denied, 0), 0);
  CHECK(filled(secret, 1));
  // Both keys are still allocated: the next one is neither.
  const int next = ::pkey_alloc(0, 0);
  CHECK(next > 0 && next != denied && next != written);
}
