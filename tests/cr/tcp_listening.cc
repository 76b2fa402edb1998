// SPDX-License-Identifier: Apache-2.0
// Sockets that listen, are bound, or are nothing yet, with their options; several of one port (SO_REUSEPORT),
// and a port that a connection has as well.
#include "harness/cr_net.h"

void cr::test() {
  const int plain = ::socket(AF_INET, SOCK_STREAM, 0);
  Address any = address("0.0.0.0", 0);
  const int bound = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  REQUIRE(::bind(bound, any.get(), any.len) == 0);
  const std::string bound_name = name_of(bound).text();

  const int listener = listener_on("127.0.0.1", 0, 7);
  const std::string name = name_of(listener).text();
  set_option(listener, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(listener, IPPROTO_TCP, TCP_KEEPIDLE, 77);
  set_option(listener, IPPROTO_TCP, TCP_KEEPINTVL, 7);
  set_option(listener, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_option(listener, IPPROTO_TCP, TCP_USER_TIMEOUT, 12345);
  set_option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 7);
  set_option(listener, IPPROTO_TCP, TCP_MAXSEG, 1000);
  set_option(listener, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(listener, SOL_IP, IP_TOS, 0x10);
  set_option(listener, SOL_IP, IP_TTL, 33);
  const int deferred = option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT);

  int twins[2];
  int port = 0;
  for (int& twin : twins) {
    twin = ::socket(AF_INET6, SOCK_STREAM, 0);
    set_option(twin, SOL_SOCKET, SO_REUSEPORT, 1);
    set_option(twin, SOL_IPV6, IPV6_V6ONLY, 1);
    Address a = address("::", port);
    REQUIRE(::bind(twin, a.get(), a.len) == 0 && ::listen(twin, 5) == 0);
    a = name_of(twin);
    port = ntohs(reinterpret_cast<sockaddr_in6&>(a.storage).sin6_port);
  }
  const int freebound = ::socket(AF_INET, SOCK_STREAM, 0);
  set_option(freebound, SOL_IP, IP_FREEBIND, 1);
  Address elsewhere = address("192.0.2.77", 4711);
  REQUIRE(::bind(freebound, elsewhere.get(), elsewhere.len) == 0);
  const int sized = listener_on("127.0.0.1");
  set_option(sized, SOL_SOCKET, SO_RCVBUF, 20000);
  auto clamps = [&] {
    std::string text;
    for (const int fd : {plain, bound, listener, twins[0], sized})
      text += std::to_string(option(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP)) + " ";
    return text;
  };
  const std::string clamps_before = clamps();
  // What new ones are by now is the machine's business.
  const int dual = listener_on("::");
  REQUIRE(option(dual, SOL_IPV6, IPV6_V6ONLY) == 0 && set_setting("ipv6/bindv6only", "1"));
  checkpoint_here();
  CHECK_EQ(option(dual, SOL_IPV6, IPV6_V6ONLY), 0);
  exchange(connect_to(dual, "127.0.0.1"));
  CHECK_EQ(clamps(), clamps_before);
  CHECK_EQ(name_of(plain).text(), "4 0.0.0.0 0");
  CHECK_EQ(name_of(bound).text(), bound_name);
  CHECK_EQ(name_of(freebound).text(), "4 192.0.2.77 4711");
  CHECK_EQ(option(freebound, SOL_IP, IP_FREEBIND), 1);
  CHECK(::fcntl(bound, F_GETFL) & O_NONBLOCK);
  CHECK_EQ(name_of(listener).text(), name);
  CHECK_EQ(option(listener, SOL_SOCKET, SO_ACCEPTCONN), 1);
  CHECK_EQ(option(bound, SOL_SOCKET, SO_ACCEPTCONN), 0);
  CHECK_EQ(option(listener, SOL_SOCKET, SO_REUSEADDR), 0);
  CHECK_EQ(option(listener, SOL_SOCKET, SO_KEEPALIVE), 1);
  CHECK_EQ(option(listener, IPPROTO_TCP, TCP_NODELAY), 1);
  CHECK_EQ(option(listener, IPPROTO_TCP, TCP_KEEPIDLE), 77);
  CHECK_EQ(option(listener, IPPROTO_TCP, TCP_KEEPINTVL), 7);
  CHECK_EQ(option(listener, IPPROTO_TCP, TCP_KEEPCNT), 3);
  CHECK_EQ(option(listener, IPPROTO_TCP, TCP_USER_TIMEOUT), 12345);
  CHECK_EQ(option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT), deferred);
  CHECK_EQ(option(listener, IPPROTO_TCP, TCP_MAXSEG), 1000);
  CHECK_EQ(option(listener, SOL_IP, IP_TOS), 0x10);
  CHECK_EQ(option(listener, SOL_IP, IP_TTL), 33);
  tcp_info info{};
  socklen_t len = sizeof info;
  CHECK(::getsockopt(listener, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
  CHECK_EQ(info.tcpi_sacked, 7U);  // of a listener: the backlog
  for (const int twin : twins) {
    CHECK_EQ(option(twin, SOL_SOCKET, SO_REUSEPORT), 1);
    CHECK_EQ(option(twin, SOL_IPV6, IPV6_V6ONLY), 1);
    CHECK_EQ(ntohs(reinterpret_cast<const sockaddr_in6&>(name_of(twin).storage).sin6_port), port);
  }
  set_option(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, 0);
  exchange(connect_to(listener));
  REQUIRE(::listen(bound, 1) == 0);
  Address to =
      address("127.0.0.1", ntohs(reinterpret_cast<const sockaddr_in&>(name_of(bound).storage).sin_port));
  REQUIRE(::connect(plain, to.get(), to.len) == 0);
}
