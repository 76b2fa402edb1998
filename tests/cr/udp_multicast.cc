// SPDX-License-Identifier: Apache-2.0
// Multicast groups of UDP and raw sockets: any source, all but some, only some; IPv4 by device and by
// address, IPv6; and broadcast.
#include <net/if.h>

#include "harness/cr_net.h"

namespace {

using namespace cr;

int datagrams(int family, const char* host, int port) {
  Address a = address(host, port);
  const int fd = ::socket(family, SOCK_DGRAM, 0);
  set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1);
  REQUIRE(::bind(fd, a.get(), a.len) == 0);
  return fd;
}

in_addr v4(const char* text) {
  in_addr out{};
  REQUIRE(::inet_pton(AF_INET, text, &out) == 1);
  return out;
}

void source(int fd, int name, const char* group, const char* from) {
  ip_mreq_source request{};
  request.imr_multiaddr = v4(group);
  request.imr_interface = v4("127.0.0.1");
  request.imr_sourceaddr = v4(from);
  REQUIRE(::setsockopt(fd, SOL_IP, name, &request, sizeof request) == 0);
}

// The filter of a group as the kernel tells it.
std::string filter_of(int fd, const char* group) {
  char buffer[IP_MSFILTER_SIZE(32)] = {};
  auto& filter = *reinterpret_cast<ip_msfilter*>(buffer);
  filter.imsf_multiaddr = v4(group);
  filter.imsf_interface = v4("127.0.0.1");
  filter.imsf_numsrc = 32;
  socklen_t len = sizeof buffer;
  if (::getsockopt(fd, SOL_IP, IP_MSFILTER, buffer, &len) != 0) return "none";
  std::string text = filter.imsf_fmode == MCAST_INCLUDE ? "only" : "all but";
  for (unsigned i = 0; i < filter.imsf_numsrc; i++) {
    char one[INET_ADDRSTRLEN];
    ::inet_ntop(AF_INET, &filter.imsf_slist[i], one, sizeof one);
    text += std::string(" ") + one;
  }
  return text;
}

std::string filter_of_v6(int fd, const char* group, unsigned interface) {
  char buffer[GROUP_FILTER_SIZE(8)] = {};
  auto& filter = *reinterpret_cast<group_filter*>(buffer);
  filter.gf_interface = interface;
  Address a = address(group, 0);
  filter.gf_group = a.storage;
  filter.gf_numsrc = 8;
  socklen_t len = sizeof buffer;
  if (::getsockopt(fd, SOL_IPV6, MCAST_MSFILTER, buffer, &len) != 0) return "none";
  std::string text = filter.gf_fmode == MCAST_INCLUDE ? "only" : "all but";
  for (unsigned i = 0; i < filter.gf_numsrc; i++) {
    char one[INET6_ADDRSTRLEN];
    ::inet_ntop(AF_INET6, &reinterpret_cast<sockaddr_in6&>(filter.gf_slist[i]).sin6_addr, one, sizeof one);
    text += std::string(" ") + one;
  }
  return text;
}

bool arrives(int to, const std::string& bytes) {
  char buffer[64];
  pollfd ready{to, POLLIN, 0};
  if (::poll(&ready, 1, 0) != 1) return false;
  const ssize_t n = ::recv(to, buffer, sizeof buffer, MSG_DONTWAIT);
  return n == static_cast<ssize_t>(bytes.size()) && std::memcmp(buffer, bytes.data(), bytes.size()) == 0;
}

// From 127.0.0.9 over the loopback device.
void send_to_group(const char* group, int port, const std::string& bytes) {
  const int fd = datagrams(AF_INET, "127.0.0.9", 0);
  ip_mreqn from{};
  from.imr_ifindex = static_cast<int>(::if_nametoindex("lo"));
  REQUIRE(::setsockopt(fd, SOL_IP, IP_MULTICAST_IF, &from, sizeof from) == 0);
  Address a = address(group, port);
  REQUIRE(::sendto(fd, bytes.data(), bytes.size(), 0, a.get(), a.len) == static_cast<ssize_t>(bytes.size()));
  ::close(fd);
}

void multicast_on_loopback() {
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  REQUIRE(::ioctl(fd, SIOCGIFFLAGS, &request) == 0);
  request.ifr_flags |= IFF_MULTICAST;
  REQUIRE(::ioctl(fd, SIOCSIFFLAGS, &request) == 0);
  ::close(fd);
}

}  // namespace

cr::Options cr::options() {
  return {};
}

void cr::test() {
  constexpr int kPort = 5007;
  multicast_on_loopback();
  const unsigned lo = ::if_nametoindex("lo");
  const int plain = datagrams(AF_INET, "0.0.0.0", kPort), choosy = datagrams(AF_INET, "0.0.0.0", kPort);
  for (const int fd : {plain, choosy}) set_option(fd, SOL_IP, IP_MULTICAST_ALL, 0);
  ip_mreqn by_index{v4("239.1.2.3"), {}, static_cast<int>(lo)};
  REQUIRE(::setsockopt(plain, SOL_IP, IP_ADD_MEMBERSHIP, &by_index, sizeof by_index) == 0);
  ip_mreq by_address{v4("239.1.2.4"), v4("127.0.0.1")};
  REQUIRE(::setsockopt(plain, SOL_IP, IP_ADD_MEMBERSHIP, &by_address, sizeof by_address) == 0);
  source(plain, IP_BLOCK_SOURCE, "239.1.2.4", "127.0.0.9");
  source(choosy, IP_ADD_SOURCE_MEMBERSHIP, "239.1.2.3", "127.0.0.8");
  source(choosy, IP_ADD_SOURCE_MEMBERSHIP, "239.1.2.4", "127.0.0.9");
  source(choosy, IP_ADD_SOURCE_MEMBERSHIP, "239.1.2.4", "10.1.2.3");
  const int v6 = ::socket(AF_INET6, SOCK_DGRAM, 0);
  ipv6_mreq v6_group{};
  REQUIRE(::inet_pton(AF_INET6, "ff15::77", &v6_group.ipv6mr_multiaddr) == 1);
  v6_group.ipv6mr_interface = lo;
  REQUIRE(::setsockopt(v6, SOL_IPV6, IPV6_ADD_MEMBERSHIP, &v6_group, sizeof v6_group) == 0);
  group_source_req v6_source{};
  v6_source.gsr_interface = lo;
  v6_source.gsr_group = address("ff15::78", 0).storage;
  v6_source.gsr_source = address("fd00::1", 0).storage;
  REQUIRE(::setsockopt(v6, SOL_IPV6, MCAST_JOIN_SOURCE_GROUP, &v6_source, sizeof v6_source) == 0);
  const int raw = ::socket(AF_INET, SOCK_RAW, 200);
  REQUIRE(::setsockopt(raw, SOL_IP, IP_ADD_MEMBERSHIP, &by_index, sizeof by_index) == 0);
  set_option(plain, SOL_SOCKET, SO_BROADCAST, 1);
  // One that waits already, sent to a group.
  send_to_group("239.1.2.3", kPort, "waits");
  auto filters = [&] {
    std::string all;
    for (const char* group : {"239.1.2.3", "239.1.2.4", "239.1.2.5"})
      for (const int fd : {plain, choosy, raw}) all += filter_of(fd, group) + "; ";
    for (const char* group : {"ff15::77", "ff15::78", "ff15::79"}) all += filter_of_v6(v6, group, lo) + "; ";
    return all;
  };
  const std::string before = filters();

  checkpoint_here();

  CHECK_EQ(filters(), before);
  CHECK(arrives(plain, "waits") && !arrives(choosy, "waits"));
  send_to_group("239.1.2.3", kPort, "three");
  send_to_group("239.1.2.4", kPort, "four");
  CHECK(arrives(plain, "three") && !arrives(plain, "four"));
  CHECK(arrives(choosy, "four") && !arrives(choosy, "three"));
  CHECK_EQ(option(plain, SOL_SOCKET, SO_BROADCAST), 1);
  CHECK(::setsockopt(plain, SOL_IP, IP_DROP_MEMBERSHIP, &by_index, sizeof by_index) == 0);
  CHECK(::setsockopt(plain, SOL_IP, IP_DROP_MEMBERSHIP, &by_address, sizeof by_address) == 0);
  CHECK(::setsockopt(v6, SOL_IPV6, IPV6_DROP_MEMBERSHIP, &v6_group, sizeof v6_group) == 0);
  CHECK(::setsockopt(raw, SOL_IP, IP_DROP_MEMBERSHIP, &by_index, sizeof by_index) == 0);
}
