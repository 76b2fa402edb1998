// SPDX-License-Identifier: Apache-2.0
// Packet sockets and their ring buffers in checkpoint tests.
#pragma once

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/mman.h>

#include "harness/cr_net.h"

namespace cr {

constexpr std::uint16_t kOurs = 0x88b6;  // ETH_P_802_EX2
constexpr unsigned kBlocks = 4, kFrame = 1024;
constexpr unsigned kLongBlock = 1 << 14;

inline sockaddr_ll on_loopback(std::uint16_t protocol) {
  sockaddr_ll name{};
  name.sll_family = AF_PACKET;
  name.sll_protocol = htons(protocol);
  name.sll_ifindex = static_cast<int>(::if_nametoindex("lo"));
  name.sll_halen = 6;
  return name;
}

inline std::string frame_of(const std::string& text) {
  std::string frame(14, '\0');
  const std::uint16_t type = htons(kOurs);
  std::memcpy(frame.data() + 12, &type, 2);
  return frame + text;
}

inline void say(int sender, const std::string& text) {
  const std::string frame = frame_of(text);
  const sockaddr_ll to = on_loopback(kOurs);
  REQUIRE(::sendto(sender, frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                   sizeof to) == static_cast<ssize_t>(frame.size()));
}

inline int packet_socket(int version) {
  const int fd = ::socket(AF_PACKET, SOCK_RAW, 0);
  if (fd < 0) skip("packet-sockets");
  set_option(fd, SOL_PACKET, PACKET_VERSION, version);
  return fd;
}

inline void listen_at_loopback(int fd) {
  const sockaddr_ll name = on_loopback(kOurs);
  REQUIRE(::bind(fd, reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
}

inline char* map_of(int fd, std::size_t len) {
  void* base = ::mmap(nullptr, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  REQUIRE(base != MAP_FAILED);
  return static_cast<char*>(base);
}

// A ring of blocks (TPACKET_V3), of kBlocks blocks of kLongBlock bytes.
struct Blocks {
  int fd = -1;
  char* memory = nullptr;
  unsigned at = 0;

  tpacket_block_desc& block() const {
    return *reinterpret_cast<tpacket_block_desc*>(memory + std::size_t{at} * kLongBlock);
  }
  // The texts of the next block, one after the other.
  std::string take() {
    auto& status = block().hdr.bh1.block_status;
    for (int i = 0; (__atomic_load_n(&status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) == 0; i++) {
      if (i >= 5000 * patience()) return "nothing";
      ::usleep(1000);
    }
    std::string texts;
    const char* packet = reinterpret_cast<const char*>(&block()) + block().hdr.bh1.offset_to_first_pkt;
    for (std::uint32_t i = 0; i < block().hdr.bh1.num_pkts; i++) {
      const auto& header = *reinterpret_cast<const tpacket3_hdr*>(packet);
      texts += std::string(packet + header.tp_mac + 14, header.tp_snaplen - 14) + ".";
      packet += header.tp_next_offset;
    }
    __atomic_store_n(&status, 0, __ATOMIC_RELEASE);
    at = (at + 1) % kBlocks;
    return texts;
  }
};

inline Blocks ring_of_blocks(unsigned retire_ms) {
  Blocks blocks{packet_socket(TPACKET_V3)};
  tpacket_req3 request{kLongBlock, kBlocks, kFrame, kLongBlock / kFrame * kBlocks, retire_ms, 0, 0};
  REQUIRE(::setsockopt(blocks.fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request) == 0);
  blocks.memory = map_of(blocks.fd, kLongBlock * kBlocks);
  return blocks;
}

}  // namespace cr
