// SPDX-License-Identifier: Apache-2.0
// A connection that is asked for: its first answer comes after the restore.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

void cr::test() {
  // Until lo has the address, what is sent there is dropped.
  if (std::system("ip addr add 10.9.8.1/32 dev lo && ip route add 10.9.8.7/32 dev lo src 10.9.8.1") != 0)
    skip("program ip");
  const int listener = listener_on("0.0.0.0");
  Address to = address("10.9.8.7", 0);
  reinterpret_cast<sockaddr_in&>(to.storage).sin_port =
      reinterpret_cast<const sockaddr_in&>(name_of(listener).storage).sin_port;
  const int asking = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  CHECK(::connect(asking, to.get(), to.len) != 0 && errno == EINPROGRESS);
  REQUIRE(tcp_state(asking) == TCP_SYN_SENT);
  const std::string name = name_of(asking).text();
  checkpoint_here();
  CHECK_EQ(tcp_state(asking), TCP_SYN_SENT);
  CHECK_EQ(name_of(asking).text(), name);
  CHECK(::connect(asking, to.get(), to.len) != 0 && errno == EALREADY);
  REQUIRE(std::system("ip addr add 10.9.8.7/32 dev lo") == 0);
  pollfd ready{asking, POLLOUT, 0};
  CHECK(::poll(&ready, 1, 60'000) == 1);
  CHECK_EQ(option(asking, SOL_SOCKET, SO_ERROR), 0);
  CHECK(::fcntl(asking, F_SETFL, 0) == 0);
  const int server = ::accept(listener, nullptr, nullptr);
  REQUIRE(server >= 0);
  exchange({asking, server});
}
