// SPDX-License-Identifier: Apache-2.0
// Sockets for ICMP echo requests (SOCK_DGRAM of IPPROTO_ICMP): their number, which is in what they send,
// addresses, options; they are answered afterwards.
#include <linux/icmp.h>
#include <linux/icmpv6.h>

#include "harness/cr_net.h"

namespace {

// The identifier is the kernel's to fill in; the answer has it, too.
int ask(int fd, bool v6, cr::Address to) {
  icmphdr echo{};
  echo.type = v6 ? ICMPV6_ECHO_REQUEST : ICMP_ECHO;
  echo.un.echo.sequence = htons(7);
  REQUIRE(::sendto(fd, &echo, sizeof echo, 0, to.len == 0 ? nullptr : to.get(), to.len) == sizeof echo);
  icmphdr answer{};
  REQUIRE(::recv(fd, &answer, sizeof answer, 0) == sizeof answer);
  CHECK_EQ(static_cast<int>(answer.type), v6 ? ICMPV6_ECHO_REPLY : ICMP_ECHOREPLY);
  CHECK_EQ(ntohs(answer.un.echo.sequence), 7);
  return ntohs(answer.un.echo.id);
}

}  // namespace

void cr::test() {
  if (!set_setting("ipv4/ping_group_range", "0 65535")) skip("machine: settings of the network namespace");
  for (const bool v6 : {false, true}) {
    const int family = v6 ? AF_INET6 : AF_INET, protocol = v6 ? int{IPPROTO_ICMPV6} : int{IPPROTO_ICMP};
    const int plain = ::socket(family, SOCK_DGRAM, protocol), bound = ::socket(family, SOCK_DGRAM, protocol),
              connected = ::socket(family, SOCK_DGRAM, protocol),
              fresh = ::socket(family, SOCK_DGRAM, protocol);
    REQUIRE(plain >= 0 && bound >= 0 && connected >= 0 && fresh >= 0);
    Address here = address(v6 ? "::1" : "127.0.0.1", 4321), to = address(v6 ? "::1" : "127.0.0.1", 0), none;
    none.len = 0;
    REQUIRE(::bind(bound, here.get(), here.len) == 0);
    // The port means nothing, and is told as it was given.
    Address peer = address(v6 ? "::1" : "127.0.0.1", 99);
    REQUIRE(::connect(connected, peer.get(), peer.len) == 0);
    if (v6)
      set_option(connected, SOL_IPV6, IPV6_UNICAST_HOPS, 33);
    else
      set_option(connected, SOL_IP, IP_TTL, 33);
    const int number = ask(plain, v6, to), of_connected = ask(connected, v6, none);
    CHECK_EQ(ask(bound, v6, to), 4321);
    const std::string names = name_of(plain).text() + name_of(bound).text() + name_of(connected).text() +
                              peer_of(connected).text() + name_of(fresh).text();
    checkpoint_here();
    CHECK_EQ(name_of(plain).text() + name_of(bound).text() + name_of(connected).text() +
                 peer_of(connected).text() + name_of(fresh).text(),
             names);
    CHECK_EQ(ask(plain, v6, to), number);
    CHECK_EQ(ask(bound, v6, to), 4321);
    CHECK_EQ(ask(connected, v6, none), of_connected);
    CHECK_EQ(option(connected, v6 ? SOL_IPV6 : SOL_IP, v6 ? IPV6_UNICAST_HOPS : IP_TTL), 33);
    ask(fresh, v6, to);
  }
}
