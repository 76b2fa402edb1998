// SPDX-License-Identifier: Apache-2.0
// UDP-Lite: bound and connected sockets over IPv4 and IPv6, how much their checksums cover, and the datagrams
// that wait to be read, with their senders; of those whose checksum is wrong only where it covers nothing are
// good ones.
#include <netinet/ip.h>
#include <netinet/udp.h>

#include "harness/cr_net.h"

namespace {

constexpr int kSendCoverage = 10, kReceiveCoverage = 11;

int bound_to(const char* host, int port = 0) {
  cr::Address a = cr::address(host, port);
  const int fd = ::socket(a.storage.ss_family, SOCK_DGRAM, IPPROTO_UDPLITE);
  if (fd < 0) cr::skip("udp-lite");
  REQUIRE(::bind(fd, a.get(), a.len) == 0);
  return fd;
}

void send_to(int from, int to, const std::string& bytes) {
  cr::Address a = cr::name_of(to);
  REQUIRE(::sendto(from, bytes.data(), bytes.size(), 0, a.get(), a.len) ==
          static_cast<ssize_t>(bytes.size()));
}

// "bytes from sender"
std::string take(int fd) {
  std::string bytes(70000, '\0');
  cr::Address from;
  const ssize_t n = ::recvfrom(fd, bytes.data(), bytes.size(), MSG_DONTWAIT, from.get(), &from.len);
  if (n < 0) return "nothing";
  bytes.resize(static_cast<std::size_t>(n));
  return bytes + " from " + from.text();
}

// From 127.0.0.9, port 4711. Its checksum covers the header and `covered` bytes; then `spoilt` of them is
// changed.
void send_forged(int to, std::string payload, std::size_t covered, std::size_t spoilt) {
  const auto name = reinterpret_cast<const sockaddr_in&>(cr::name_of(to).storage);
  struct {
    std::uint32_t source, destination;
    std::uint8_t zero = 0, protocol = IPPROTO_UDPLITE;
    std::uint16_t len;
    udphdr udp{};
  } head;
  head.source = ::inet_addr("127.0.0.9");
  head.destination = name.sin_addr.s_addr;
  head.len = htons(static_cast<std::uint16_t>(sizeof(udphdr) + payload.size()));
  head.udp.source = htons(4711);
  head.udp.dest = name.sin_port;
  head.udp.len = htons(static_cast<std::uint16_t>(sizeof(udphdr) + covered));
  std::string summed(reinterpret_cast<const char*>(&head), sizeof head);
  summed += payload.substr(0, covered);
  head.udp.check = cr::internet_checksum(summed);
  payload[spoilt] ^= 1;
  iphdr ip{};
  ip.version = 4;
  ip.ihl = 5;
  ip.ttl = 64;
  ip.protocol = IPPROTO_UDPLITE;
  ip.saddr = head.source;
  ip.daddr = head.destination;
  ip.tot_len = htons(static_cast<std::uint16_t>(sizeof ip + sizeof(udphdr) + payload.size()));
  const std::string packet = std::string(reinterpret_cast<const char*>(&ip), sizeof ip) +
                             std::string(reinterpret_cast<const char*>(&head.udp), sizeof(udphdr)) + payload;
  const int raw = ::socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  sockaddr_in where = name;
  where.sin_port = 0;
  REQUIRE(raw >= 0 && ::sendto(raw, packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&where),
                               sizeof where) == static_cast<ssize_t>(packet.size()));
  ::close(raw);
}

}  // namespace

void cr::test() {
  std::vector<std::pair<int, int>> pairs;
  std::vector<std::string> names;
  for (const char* host : {"127.0.0.1", "::1"}) {
    const int receiver = bound_to(host), sender = bound_to(host);
    Address a = name_of(receiver), b = name_of(sender);
    set_option(sender, IPPROTO_UDPLITE, kSendCoverage, 12);
    set_option(receiver, IPPROTO_UDPLITE, kReceiveCoverage, 10);
    // Of odd lengths too; before and after they know each other.
    for (const std::size_t length : {0, 1, 5, 1400, 40001}) send_to(sender, receiver, pattern(length));
    REQUIRE(::connect(receiver, b.get(), b.len) == 0 && ::connect(sender, a.get(), a.len) == 0);
    send_to(sender, receiver, "connected");
    send_to(receiver, sender, "back");
    pairs.emplace_back(receiver, sender);
    names.push_back(name_of(receiver).text() + peer_of(receiver).text() + name_of(sender).text() +
                    peer_of(sender).text());
  }
  const int many = bound_to("127.0.0.1"), from = bound_to("127.0.0.3");
  for (int i = 0; i < 64; i++) send_to(from, many, std::string(2, static_cast<char>(i * 4)));
  const int forged = bound_to("127.0.0.1");
  send_forged(forged, "good where it matters", 8, 15);
  send_forged(forged, "bad", 3, 1);
  send_forged(forged, "bad where it matters", 8, 7);
  send_to(from, forged, "last");
  checkpoint_here();
  for (std::size_t i = 0; i < pairs.size(); i++) {
    const auto [receiver, sender] = pairs[i];
    CHECK_EQ(
        name_of(receiver).text() + peer_of(receiver).text() + name_of(sender).text() + peer_of(sender).text(),
        names[i]);
    CHECK_EQ(option(sender, IPPROTO_UDPLITE, kSendCoverage), 12);
    CHECK_EQ(option(receiver, IPPROTO_UDPLITE, kReceiveCoverage), 10);
    for (const std::size_t length : {0, 1, 5, 1400, 40001})
      CHECK(take(receiver) == pattern(length) + " from " + name_of(sender).text());
    CHECK_EQ(take(receiver), "connected from " + name_of(sender).text());
    CHECK_EQ(take(receiver), "nothing");
    CHECK_EQ(take(sender), "back from " + name_of(receiver).text());
    send_to(sender, receiver, "again");
    CHECK_EQ(take(receiver), "again from " + name_of(sender).text());
  }
  for (int i = 0; i < 64; i++)
    CHECK_EQ(take(many), std::string(2, static_cast<char>(i * 4)) + " from " + name_of(from).text());
  std::string good = "good where it matters";
  good[15] ^= 1;
  CHECK_EQ(take(forged), good + " from 4 127.0.0.9 4711");
  CHECK_EQ(take(forged), "last from " + name_of(from).text());
  CHECK_EQ(take(forged), "nothing");
}
