// SPDX-License-Identifier: Apache-2.0
// A datagram that is being put together is refused by name, and still goes out whole.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.refused = "a datagram is being put together (UDP_CORK, MSG_MORE)"};
}

void cr::test() {
  const int receiver = ::socket(AF_INET, SOCK_DGRAM, 0), sender = ::socket(AF_INET, SOCK_DGRAM, 0);
  Address to = address("127.0.0.1", 0);
  REQUIRE(::bind(receiver, to.get(), to.len) == 0);
  to = name_of(receiver);
  REQUIRE(::connect(sender, to.get(), to.len) == 0);
  REQUIRE(::send(sender, "begun ", 6, MSG_MORE) == 6);
  checkpoint_here();
  REQUIRE(::send(sender, "and done", 8, 0) == 8);
  CHECK_EQ(receive(receiver, 14), "begun and done");
}
