// SPDX-License-Identifier: Apache-2.0
// Raw sockets, with a filter for ICMP, headers of their own, bound and connected.
#include <linux/icmp.h>

#include "harness/cr_net.h"

void cr::test() {
  // Raw sockets show it, and cannot be told.
  REQUIRE(set_setting("ipv6/bindv6only", "1"));
  const int icmp = ::socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
  REQUIRE(icmp >= 0);
  const icmp_filter filter{~(1U << ICMP_ECHOREPLY)};
  REQUIRE(::setsockopt(icmp, SOL_RAW, ICMP_FILTER, &filter, sizeof filter) == 0);
  const int headers = ::socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  const int own = ::socket(AF_INET, SOCK_RAW, 253);
  set_option(own, SOL_IP, IP_HDRINCL, 1);
  Address loopback = address("127.0.0.1", 0);
  REQUIRE(::bind(own, loopback.get(), loopback.len) == 0);
  const int v6 = ::socket(AF_INET6, SOCK_RAW, 254);
  set_option(v6, SOL_RAW, 7 /* IPV6_CHECKSUM */, 2);
  Address v6_loopback = address("::1", 0);
  REQUIRE(::connect(v6, v6_loopback.get(), v6_loopback.len) == 0);
  const int bound_v6 = ::socket(AF_INET6, SOCK_RAW, 252);
  REQUIRE(::bind(bound_v6, v6_loopback.get(), v6_loopback.len) == 0);
  const auto names = [&] {
    return name_of(own).text() + ", " + name_of(bound_v6).text() + ", " + name_of(v6).text() + ", " +
           name_of(icmp).text();
  };
  const std::string before = names();
  checkpoint_here();
  CHECK_EQ(names(), before);
  icmp_filter now{};
  socklen_t len = sizeof now;
  CHECK(::getsockopt(icmp, SOL_RAW, ICMP_FILTER, &now, &len) == 0);
  CHECK_EQ(now.data, filter.data);
  CHECK_EQ(option(icmp, SOL_SOCKET, SO_PROTOCOL), IPPROTO_ICMP);
  CHECK_EQ(option(headers, SOL_IP, IP_HDRINCL), 1);
  CHECK_EQ(option(own, SOL_IP, IP_HDRINCL), 1);
  CHECK_EQ(option(own, SOL_SOCKET, SO_PROTOCOL), 253);
  CHECK_EQ(option(v6, SOL_RAW, 7), 2);
  CHECK(::send(v6, "checksum", 8, 0) == 8);  // it is connected
  icmphdr echo{};
  echo.type = ICMP_ECHO;
  echo.checksum = htons(static_cast<std::uint16_t>(~(ICMP_ECHO << 8)));
  CHECK(::sendto(icmp, &echo, sizeof echo, 0, loopback.get(), loopback.len) == sizeof echo);
  unsigned char packet[128];
  CHECK(::recv(icmp, packet, sizeof packet, 0) == 28);
  CHECK_EQ(static_cast<int>(packet[20]), ICMP_ECHOREPLY);
}
