// SPDX-License-Identifier: Apache-2.0
// A packet socket with a ring buffer: refused by name.
#include <linux/if_packet.h>

#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.refused = "it has ring buffers (PACKET_RX_RING)"};
}

void cr::test() {
  const int fd = ::socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) skip("machine: packet sockets");
  tpacket_req ring{4096, 4, 2048, 8};
  REQUIRE(::setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) == 0);
  checkpoint_here();
  ring = {};
  CHECK(::setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) == 0);
}
