// SPDX-License-Identifier: Apache-2.0
// A socket of a family whose state cannot be read back: refused by the family's name.
#include <sys/socket.h>

#include "harness/cr_test.h"

cr::Options cr::options() {
  return {.refused = "a socket of AF_ALG: keys"};
}

void cr::test() {
  if (::socket(AF_ALG, SOCK_SEQPACKET, 0) < 0) skip("machine: AF_ALG");
  checkpoint_here();
}
