// SPDX-License-Identifier: Apache-2.0
// An attached System V segment is not taken for shared anonymous memory.
#include <sys/shm.h>

#include "harness/cr_memory.h"

void cr::test() {
  const int id = ::shmget(IPC_PRIVATE, 2 * kPage, 0600);
  if (id < 0) skip("sysvipc");
  char* memory = static_cast<char*>(::shmat(id, nullptr, 0));
  REQUIRE(::shmctl(id, IPC_RMID, nullptr) == 0);  // goes with the last who has it
  fill(memory, 1);
  checkpoint_here();
  CHECK(filled(memory, 1));
}

cr::Options cr::options() {
  return {.refused = "a System V shared memory segment (SYSV00000000)"};
}
