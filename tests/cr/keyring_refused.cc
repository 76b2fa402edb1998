// SPDX-License-Identifier: Apache-2.0
// A thread of a child holds a key in its own keyring, and the process knows the key's number.
#include <linux/keyctl.h>

#include <thread>

#include "harness/cr_test.h"

cr::Options cr::options() {
  return {.refused = "keyring"};
}

void cr::test() {
  const long serial = ::syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1);
  if (serial < 0 && errno == ENOSYS) skip("keys");
  REQUIRE(serial > 0);  // it is empty: no obstacle
  Child child([] {
    std::thread holder([] {
      const long key = ::syscall(SYS_add_key, "user", "secret", "words", 5, KEY_SPEC_THREAD_KEYRING);
      REQUIRE(key > 0);
      wait_released();
      char words[8] = {};
      CHECK_EQ(::syscall(SYS_keyctl, KEYCTL_READ, key, words, sizeof words), 5);
      CHECK(std::string(words) == "words");
    });
    holder.join();
  });
  await_waiting(1);
  checkpoint_here();
  child.join();
}
