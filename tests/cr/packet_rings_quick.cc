// SPDX-License-Identifier: Apache-2.0
// Rings whose blocks the kernel hands over nearly at once: wherever its timer is when they are turned again,
// each comes back at its own block.
#include <array>

#include "harness/cr_packet.h"

using namespace cr;

cr::Options cr::options() {
  return {};
}

void cr::test() {
  const int sender = ::socket(AF_PACKET, SOCK_RAW, 0);
  if (sender < 0) skip("packet-sockets");
  constexpr unsigned kRings = 40;
  std::array<Blocks, kRings> rings;
  for (Blocks& ring : rings) {
    ring = ring_of_blocks(1);
    listen_at_loopback(ring.fd);
  }
  // To the last block of each.
  for (unsigned i = 0; i + 1 < kBlocks; i++) {
    const std::string text = "before " + std::to_string(i);
    say(sender, text);
    for (Blocks& ring : rings) REQUIRE(ring.take() == text + ".");
  }

  checkpoint_here();

  // Twice around.
  for (unsigned i = 0; i < 2 * kBlocks; i++) {
    const std::string text = "after " + std::to_string(i);
    say(sender, text);
    for (Blocks& ring : rings) REQUIRE(ring.take() == text + ".");
  }
}
