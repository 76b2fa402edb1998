// SPDX-License-Identifier: Apache-2.0
// A tree with a session keyring of its own, and a key in it: it is taken, with a word about the key. What
// restores has another session, whose keys are not for the tree: it gets a new keyring, empty, that all of it
// share. Empty keyrings of a process are no obstacle.
#include <linux/keyctl.h>

#include "harness/cr_test.h"

namespace {

long keyctl(int command, long a = 0, long b = 0, long c = 0, long d = 0) {
  return ::syscall(SYS_keyctl, command, a, b, c, d);
}

long session() {
  return keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 0);
}

}  // namespace

void cr::test() {
  const long of_runner = session();
  if (of_runner < 0 && errno == ENOSYS) skip("keys");
  const long before = keyctl(KEYCTL_JOIN_SESSION_KEYRING);
  REQUIRE(before > 0 && before != of_runner);
  REQUIRE(::syscall(SYS_add_key, "user", "secret", "words", 5, KEY_SPEC_SESSION_KEYRING) > 0);
  REQUIRE(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_PROCESS_KEYRING, 1) > 0);
  REQUIRE(keyctl(KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1) > 0);
  Child child([of_runner] {
    wait_released();
    CHECK(session() != of_runner);
    // Joined by the parent, seen by the child: one keyring.
    bool found = false;
    for (int i = 0; i < 2000 && !found; i++, ::usleep(1000))
      found = keyctl(KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, reinterpret_cast<long>("user"),
                     reinterpret_cast<long>("later"), 0) > 0;
    CHECK(found);
  });
  await_waiting(1);
  checkpoint_here();
  CHECK(session() > 0);
  CHECK(session() != of_runner);
  CHECK(keyctl(KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, reinterpret_cast<long>("user"),
               reinterpret_cast<long>("secret"), 0) < 0);
  CHECK(::syscall(SYS_add_key, "user", "later", "words", 5, KEY_SPEC_SESSION_KEYRING) > 0);
  child.join();
}
