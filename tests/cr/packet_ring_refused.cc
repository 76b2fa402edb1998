// SPDX-License-Identifier: Apache-2.0
// Ring buffers of which the process maps only a part any more: refused by name.
#include <linux/if_packet.h>
#include <sys/mman.h>

#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.refused = "it maps a part of the ring buffers of a packet socket"};
}

void cr::test() {
  const int fd = ::socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) skip("packet-sockets");
  tpacket_req ring{4096, 4, 2048, 8};
  REQUIRE(::setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) == 0);
  void* memory = ::mmap(nullptr, 4096 * 4, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  REQUIRE(memory != MAP_FAILED);
  REQUIRE(::munmap(memory, 4096) == 0);
  checkpoint_here();
  CHECK(::munmap(static_cast<char*>(memory) + 4096, 4096 * 3) == 0);
  ring = {};
  CHECK(::setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &ring, sizeof ring) == 0);
}
