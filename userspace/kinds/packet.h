// SPDX-License-Identifier: Apache-2.0
// Packet sockets with ring buffers, for those who see to the memory: kinds/packet_ring.cc, what is mapped,
// and restore/packet_rings.cc, what is done when all is made.
#pragma once

#include <cstddef>
#include <cstdint>

#include "images/kinds/packet.pb.h"
#include "kinds/kind.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {

bool is_packet(const pb::File& file);
Result<pb::PacketSocket> packet_of(const pb::File& file);
bool has_ring(const pb::PacketSocket& socket);
// The same of a file, whatever it is.
bool has_packet_ring(const pb::File& file);

// Where in a ring's memory that is which the kernel and the program hand to one another: frames or, of
// TPACKET_V3 and what is received, blocks.
class RingLayout {
 public:
  RingLayout(const pb::PacketRing& ring, std::uint32_t version, bool receives)
      : ring_(ring), version_(version), receives_(receives) {}

  std::size_t size_bytes() const { return std::size_t{ring_.blocks()} * ring_.block_bytes(); }
  bool of_blocks() const { return version_ == 2 && receives_; }
  std::uint32_t count() const { return of_blocks() ? ring_.blocks() : ring_.frames(); }
  // Of number `index`, below count().
  std::size_t offset(std::uint32_t index) const;
  std::size_t unit_bytes() const { return of_blocks() ? ring_.block_bytes() : ring_.frame_bytes(); }
  // tp_status of number `index`; 0: it is the kernel's, or free to be filled and sent.
  std::uint32_t status(const char* memory, std::uint32_t index) const;
  void set_status(char* memory, std::uint32_t index, std::uint32_t status) const;

 private:
  std::size_t status_offset() const;

  const pb::PacketRing& ring_;
  const std::uint32_t version_;
  const bool receives_;
};

// How much of it is mapped at once: both rings, the receiving one first.
std::size_t rings_bytes(const pb::PacketSocket& socket);
// Takes the memory of the socket behind `fd` while nobody but the kernel writes there.
Result<void> read_rings(EnrichContext& context, int fd, pb::PacketSocket& socket);
// Ok, or why such a mapping cannot be made again.
Finding look_at_packet_mapping(const pb::Vma& vma, const pb::File& file, bool open);
// Error::BadImage where it is impossible.
Result<void> check_rings(const pb::PacketSocket& socket);
// Makes the rings of bpfckpt's socket `fd`, empty and at their beginnings.
void plan_rings(PlanBuilder& plan, Operand fd, const pb::PacketSocket& socket);
// kinds/kind.h: map_all
Result<void> map_packet_rings(PlanBuilder& plan, const Installed& installed);

}  // namespace bpfckpt::kinds
