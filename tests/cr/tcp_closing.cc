// SPDX-License-Identifier: Apache-2.0
// CLOSING: both ends have said that they are done, and one of them has bytes before its FIN for which the
// other end had no room yet.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

void cr::test() {
  for (const char* host : {"127.0.0.1", "::1", "::"}) {
    const int listener = listener_on(host);
    Connection crossed = connect_to(listener, host[2] == '\0' ? "::ffff:127.0.0.1" : nullptr);
    ::close(listener);
    const std::string data = pattern(8 << 20);
    const std::string sent = data.substr(0, send_until_full(crossed.client, data));
    REQUIRE(::shutdown(crossed.client, SHUT_WR) == 0);
    REQUIRE(::shutdown(crossed.server, SHUT_WR) == 0);
    await_tcp_state(crossed.client, TCP_CLOSING);

    checkpoint_here();

    CHECK_EQ(tcp_state(crossed.client), TCP_CLOSING);
    CHECK(receive(crossed.server, 64 << 20) == sent);
    char byte;
    CHECK(::recv(crossed.server, &byte, 1, 0) == 0);
    CHECK(::recv(crossed.client, &byte, 1, 0) == 0);
    await_tcp_state(crossed.server, TCP_CLOSE);
  }
}
