// SPDX-License-Identifier: Apache-2.0
// What a process has to undo when it ends (SEM_UNDO) would be undone by the dump.
#include <sys/sem.h>

#include "harness/cr_test.h"

void cr::test() {
  const int id = ::semget(IPC_PRIVATE, 1, 0600);
  if (id < 0) skip("sysvipc");
  sembuf up{0, 1, SEM_UNDO};
  REQUIRE(::semop(id, &up, 1) == 0);
  checkpoint_here();
  CHECK_EQ(::semctl(id, 0, GETVAL), 1);
  CHECK_EQ(::semctl(id, 0, IPC_RMID), 0);
}

cr::Options cr::options() {
  return {.refused = "sysv-sem-undo"};
}
