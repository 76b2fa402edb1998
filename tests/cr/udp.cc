// SPDX-License-Identifier: Apache-2.0
// UDP sockets: bound, connected, for broadcast, shut down, with options, over IPv4 and IPv6.
#include "harness/cr_net.h"

namespace {

int bound_to(const char* host, int port = 0) {
  cr::Address a = cr::address(host, port);
  const int fd = ::socket(a.storage.ss_family, SOCK_DGRAM, 0);
  REQUIRE(fd >= 0 && ::bind(fd, a.get(), a.len) == 0);
  return fd;
}

}  // namespace

void cr::test() {
  for (const char* host : {"127.0.0.1", "::1"}) {
    const int receiver = bound_to(host);
    Address to = name_of(receiver);
    const int sender = ::socket(to.storage.ss_family, SOCK_DGRAM, 0);
    REQUIRE(::connect(sender, to.get(), to.len) == 0);
    const int back = bound_to(host);
    Address sender_name = name_of(sender);
    REQUIRE(::connect(back, sender_name.get(), sender_name.len) == 0);
    const int nothing = ::socket(to.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    const int closed = ::socket(to.storage.ss_family, SOCK_DGRAM, 0);
    REQUIRE(::connect(closed, to.get(), to.len) == 0 && ::shutdown(closed, SHUT_WR) == 0);
    const bool v4 = to.storage.ss_family == AF_INET;
    if (v4) {
      set_option(receiver, SOL_IP, IP_PKTINFO, 1);
      set_option(sender, SOL_IP, IP_TOS, 0x10);
      set_option(sender, SOL_IP, IP_MULTICAST_TTL, 9);
      set_option(sender, SOL_IP, IP_RECVERR, 1);
      set_option(nothing, SOL_SOCKET, SO_BROADCAST, 1);
    } else {
      set_option(receiver, SOL_IPV6, IPV6_RECVPKTINFO, 1);
      set_option(sender, SOL_IPV6, IPV6_TCLASS, 0x20);
      set_option(sender, SOL_IPV6, IPV6_MULTICAST_HOPS, 9);
      set_option(sender, SOL_IPV6, IPV6_UNICAST_HOPS, 44);
      set_option(nothing, SOL_IPV6, IPV6_V6ONLY, 1);
    }
    const std::string names = name_of(receiver).text() + name_of(sender).text() + peer_of(sender).text() +
                              name_of(back).text() + peer_of(back).text() + name_of(nothing).text();
    checkpoint_here();
    CHECK_EQ(names, name_of(receiver).text() + name_of(sender).text() + peer_of(sender).text() +
                        name_of(back).text() + peer_of(back).text() + name_of(nothing).text());
    if (v4) {
      CHECK_EQ(option(receiver, SOL_IP, IP_PKTINFO), 1);
      CHECK_EQ(option(sender, SOL_IP, IP_TOS), 0x10);
      CHECK_EQ(option(sender, SOL_IP, IP_MULTICAST_TTL), 9);
      CHECK_EQ(option(sender, SOL_IP, IP_RECVERR), 1);
      CHECK_EQ(option(nothing, SOL_SOCKET, SO_BROADCAST), 1);
    } else {
      CHECK_EQ(option(receiver, SOL_IPV6, IPV6_RECVPKTINFO), 1);
      CHECK_EQ(option(sender, SOL_IPV6, IPV6_TCLASS), 0x20);
      CHECK_EQ(option(sender, SOL_IPV6, IPV6_MULTICAST_HOPS), 9);
      CHECK_EQ(option(sender, SOL_IPV6, IPV6_UNICAST_HOPS), 44);
      CHECK_EQ(option(nothing, SOL_IPV6, IPV6_V6ONLY), 1);
    }
    CHECK(::fcntl(nothing, F_GETFL) & O_NONBLOCK);
    CHECK(::send(closed, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
    char bytes[8];
    CHECK(::send(sender, "there", 5, 0) == 5);
    CHECK_EQ(
        std::string(bytes, static_cast<std::size_t>(std::max<ssize_t>(::recv(receiver, bytes, 8, 0), 0))),
        "there");
    CHECK(::sendto(receiver, "back", 4, 0, sender_name.get(), sender_name.len) == 4);
    CHECK_EQ(std::string(bytes, static_cast<std::size_t>(std::max<ssize_t>(::recv(sender, bytes, 8, 0), 0))),
             "back");
    for (const int fd : {receiver, sender, back, nothing, closed}) ::close(fd);
  }
}
