// SPDX-License-Identifier: Apache-2.0
// A datagram whose checksum is wrong, and which nobody has looked at yet, is not made a good one: whoever
// reads gets the ones before and behind it. Right ones of the same kind, odd lengths too, are kept.
#include <netinet/ip.h>
#include <netinet/udp.h>

#include "harness/cr_net.h"

namespace {

using namespace cr;

std::string bytes_of(const auto& value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

std::uint16_t checksum(const iphdr& ip, const std::string& segment) {
  const std::uint16_t rest[] = {htons(IPPROTO_UDP), htons(static_cast<std::uint16_t>(segment.size()))};
  return internet_checksum(bytes_of(ip.saddr) + bytes_of(ip.daddr) + bytes_of(rest) + segment);
}

// By a raw socket, for which the kernel sums nothing up.
void send_raw(int to, const std::string& payload, std::uint16_t error) {
  Address name = name_of(to);
  const auto& in = reinterpret_cast<const sockaddr_in&>(name.storage);
  iphdr ip{};
  udphdr udp{};
  ip.version = 4;
  ip.ihl = sizeof ip / 4;
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDP;
  ip.tot_len = htons(static_cast<std::uint16_t>(sizeof ip + sizeof udp + payload.size()));
  ip.saddr = ip.daddr = in.sin_addr.s_addr;
  udp.source = htons(7);
  udp.dest = in.sin_port;
  udp.len = htons(static_cast<std::uint16_t>(sizeof udp + payload.size()));
  udp.check = checksum(ip, bytes_of(udp) + payload);
  udp.check = static_cast<std::uint16_t>(udp.check ^ error);
  const std::string packet = bytes_of(ip) + bytes_of(udp) + payload;
  const int raw = ::socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  REQUIRE(raw >= 0);
  REQUIRE(::sendto(raw, packet.data(), packet.size(), 0, name.get(), name.len) ==
          static_cast<ssize_t>(packet.size()));
  ::close(raw);
}

std::string take(int fd) {
  std::string bytes(4096, '\0');
  const ssize_t n = ::recv(fd, bytes.data(), bytes.size(), MSG_DONTWAIT);
  bytes.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return n < 0 ? "nothing" : bytes;
}

}  // namespace

void cr::test() {
  Address a = address("127.0.0.1", 0);
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0), only_bad = ::socket(AF_INET, SOCK_DGRAM, 0);
  REQUIRE(::bind(fd, a.get(), a.len) == 0 && ::bind(only_bad, a.get(), a.len) == 0);
  // Longer ones than the kernel looks at when they arrive (include/linux/skbuff.h:CHECKSUM_BREAK).
  send_raw(fd, pattern(301, 1), 0);
  send_raw(fd, pattern(300, 2), 0x0101);
  send_raw(fd, pattern(302, 3), 0);
  send_raw(fd, pattern(303, 4), 0x8000);
  send_raw(fd, pattern(304, 5), 0);
  send_raw(only_bad, pattern(300, 6), 1);
  checkpoint_here();
  CHECK_EQ(take(fd), pattern(301, 1));
  CHECK_EQ(take(fd), pattern(302, 3));
  CHECK_EQ(take(fd), pattern(304, 5));
  CHECK_EQ(take(fd), "nothing");
  CHECK_EQ(take(only_bad), "nothing");
}
