// SPDX-License-Identifier: Apache-2.0
// LAST-ACK: who was told first that all is over has said so, too, behind bytes that nobody has read.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

void cr::test() {
  for (const char* host : {"127.0.0.1", "::1", "::"}) {
    const int listener = listener_on(host);
    const Connection c = connect_to(listener, host[2] == '\0' ? "::ffff:127.0.0.1" : nullptr);
    REQUIRE(::shutdown(c.client, SHUT_WR) == 0);
    await_tcp_state(c.server, TCP_CLOSE_WAIT);
    const std::string data = pattern(8 << 20);
    const std::string sent = data.substr(0, send_until_full(c.server, data));
    REQUIRE(::shutdown(c.server, SHUT_WR) == 0);
    CHECK_EQ(tcp_state(c.server), TCP_LAST_ACK);

    checkpoint_here();

    CHECK_EQ(tcp_state(c.server), TCP_LAST_ACK);
    CHECK(receive(c.client, 64 << 20) == sent);
    char byte;
    CHECK(::recv(c.client, &byte, 1, 0) == 0);
    await_tcp_state(c.server, TCP_CLOSE);
  }
}
