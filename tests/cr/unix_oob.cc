// SPDX-License-Identifier: Apache-2.0
// An urgent byte in a stream, before, between and after ordinary ones.
#include "harness/cr_unix.h"

void cr::test() {
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  send_text(pair[0], "before");
  if (::send(pair[0], "!", 1, MSG_OOB) != 1) skip("machine: MSG_OOB on unix sockets");
  send_text(pair[0], "after");
  checkpoint_here();
  CHECK_EQ(receive_text(pair[1]), "before");
  char byte = 0;
  CHECK_EQ(::recv(pair[1], &byte, 1, MSG_OOB), 1);
  CHECK_EQ(byte, '!');
  CHECK_EQ(receive_text(pair[1]), "after");
}
