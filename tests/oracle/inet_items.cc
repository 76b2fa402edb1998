// SPDX-License-Identifier: Apache-2.0
// Multicast groups and datagrams of a UDP socket against what getsockopt(2) and recvmsg(2) say of them.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <vector>

#include "images/kinds/udp.pb.h"
#include "oracle/target.h"

using namespace oracle;

namespace {

std::string mapped(const sockaddr_in& address) {
  std::string out("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  return out.append(reinterpret_cast<const char*>(&address.sin_addr), 4);
}

}  // namespace

TEST_CASE("what belongs to a UDP socket") {
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0), sender = ::socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in name{}, from{};
  name.sin_family = from.sin_family = AF_INET;
  name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 5);
  socklen_t len = sizeof name;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&name), len) == 0);
  REQUIRE(::bind(sender, reinterpret_cast<sockaddr*>(&from), len) == 0);
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &len) == 0);
  REQUIRE(::getsockname(sender, reinterpret_cast<sockaddr*>(&from), &len) == 0);
  const int ttl = 77, tos = 0x40;
  REQUIRE(::setsockopt(sender, SOL_IP, IP_TTL, &ttl, sizeof ttl) == 0);
  REQUIRE(::setsockopt(sender, SOL_IP, IP_TOS, &tos, sizeof tos) == 0);
  const std::vector<std::size_t> lengths = {5, 0, 30000, 1};
  for (const std::size_t bytes : lengths) {
    const std::string payload(bytes, 'x');
    REQUIRE(::sendto(sender, payload.data(), bytes, 0, reinterpret_cast<sockaddr*>(&name), sizeof name) ==
            static_cast<ssize_t>(bytes));
  }
  // One that was looked at is in another queue (net/ipv4/udp.c:__skb_recv_udp()).
  char byte;
  REQUIRE(::recv(fd, &byte, 1, MSG_PEEK) == 1);
  ip_mreqn group{};
  group.imr_multiaddr.s_addr = inet_addr("239.9.8.7");
  group.imr_address.s_addr = htonl(INADDR_LOOPBACK);
  const bool joined = ::setsockopt(fd, SOL_IP, IP_ADD_MEMBERSHIP, &group, sizeof group) == 0;
  std::vector<std::string> sources;
  for (const char* one : {"10.0.0.1", "10.0.0.2"}) {
    ip_mreq_source source{};
    source.imr_multiaddr.s_addr = inet_addr("239.9.8.6");
    source.imr_interface.s_addr = htonl(INADDR_LOOPBACK);
    source.imr_sourceaddr.s_addr = inet_addr(one);
    if (::setsockopt(fd, SOL_IP, IP_ADD_SOURCE_MEMBERSHIP, &source, sizeof source) == 0)
      sources.emplace_back(reinterpret_cast<const char*>(&source.imr_sourceaddr), 4);
  }
  Target target([&] { ::dup2(fd, 100); });
  const auto model = model_of(target.pid());
  int seen = 0;
  for (const auto& file : model.files.files()) {
    bpfckpt::pb::Udp udp;
    if (file.kind() != "udp" || !file.detail().UnpackTo(&udp)) continue;
    if (udp.inet().local_port() != ntohs(name.sin_port)) continue;
    ++seen;
    REQUIRE(udp.datagrams_size() == static_cast<int>(lengths.size()));
    CHECK(udp.queued() == lengths.size());
    for (int i = 0; i < udp.datagrams_size(); i++) {
      CAPTURE(i);
      const auto& datagram = udp.datagrams(i);
      CHECK(datagram.length() == lengths[static_cast<std::size_t>(i)]);
      CHECK(datagram.source() == mapped(from));
      CHECK(datagram.destination() == mapped(name));
      CHECK(datagram.source_port() == ntohs(from.sin_port));
      CHECK(datagram.ttl() == 77);
      CHECK(datagram.tos() == 0x40);
      CHECK_EQ(datagram.segment(), 0);
    }
    if (!joined) continue;
    REQUIRE(udp.inet().memberships_size() == 2);
    const auto& newest = udp.inet().memberships(0);
    CHECK(newest.mode() == MCAST_INCLUDE);
    CHECK(newest.interface() == 1);
    REQUIRE(newest.sources_size() == static_cast<int>(sources.size()));
    for (int i = 0; i < newest.sources_size(); i++)
      CHECK(newest.sources(i) == sources[static_cast<std::size_t>(i)]);
    const auto& eldest = udp.inet().memberships(1);
    CHECK(eldest.mode() == MCAST_EXCLUDE);
    CHECK(eldest.sources_size() == 0);
    CHECK(eldest.group() == std::string(reinterpret_cast<const char*>(&group.imr_multiaddr), 4));
    CHECK(eldest.interface_address() == std::string(reinterpret_cast<const char*>(&group.imr_address), 4));
  }
  CHECK(seen == 1);
}
