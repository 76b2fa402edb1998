// SPDX-License-Identifier: Apache-2.0
// Connections of which one side or both have said that they are done, and those that are over, with bytes
// that were sent before.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

namespace {

// What comes until the end of the stream.
std::string rest(int fd) {
  std::string out = cr::receive(fd, 64 << 20);
  char byte;
  CHECK(::recv(fd, &byte, 1, 0) == 0);
  return out;
}

}  // namespace

void cr::test() {
  for (const char* host : {"127.0.0.1", "::1", "::"}) {
    const int listener = listener_on(host);
    // The last are mapped addresses at one end, of a socket of IPv4 at the other.
    const char* to = host[2] == '\0' ? "127.0.0.1" : nullptr;
    Connection first = connect_to(listener, to), with_data = connect_to(listener, to),
               both = connect_to(listener, to), full = connect_to(listener, to),
               reset = connect_to(listener, to), read = connect_to(listener, to);
    // FIN-WAIT-2 and CLOSE-WAIT
    REQUIRE(::shutdown(first.client, SHUT_WR) == 0);
    send_all(with_data.client, "last words");
    REQUIRE(::shutdown(with_data.client, SHUT_WR) == 0);
    send_all(with_data.server, "not yet");
    REQUIRE(::shutdown(read.client, SHUT_WR) == 0);
    char byte;
    REQUIRE(::recv(read.server, &byte, 1, 0) == 0);
    // Over: CLOSED, after TIME-WAIT took the place of one of them.
    send_all(both.client, "a");
    send_all(both.server, "b");
    REQUIRE(::shutdown(both.client, SHUT_WR) == 0);
    await_tcp_state(both.client, TCP_FIN_WAIT2);
    REQUIRE(::shutdown(both.server, SHUT_WR) == 0);
    await_tcp_state(both.server, TCP_CLOSE);
    // FIN-WAIT-1: the FIN is behind bytes for which there is no room.
    const std::string data = pattern(8 << 20);
    const std::string sent = data.substr(0, send_until_full(full.client, data));
    REQUIRE(::shutdown(full.client, SHUT_WR) == 0);
    CHECK_EQ(tcp_state(full.client), TCP_FIN_WAIT1);
    // Reset, with an error that nobody has read.
    const linger now{1, 0};
    REQUIRE(::setsockopt(reset.client, SOL_SOCKET, SO_LINGER, &now, sizeof now) == 0);
    ::close(reset.client);
    await_tcp_state(reset.server, TCP_CLOSE);
    await_tcp_state(first.client, TCP_FIN_WAIT2);
    await_tcp_state(with_data.client, TCP_FIN_WAIT2);
    checkpoint_here();
    CHECK_EQ(tcp_state(first.client), TCP_FIN_WAIT2);
    CHECK_EQ(tcp_state(first.server), TCP_CLOSE_WAIT);
    CHECK_EQ(rest(first.server), "");
    send_all(first.server, "answer");
    CHECK_EQ(receive(first.client, 6), "answer");
    ::close(first.server);
    CHECK_EQ(rest(first.client), "");

    CHECK_EQ(rest(with_data.server), "last words");
    CHECK_EQ(receive(with_data.client, 7), "not yet");
    CHECK(::send(with_data.client, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);

    CHECK_EQ(tcp_state(read.server), TCP_CLOSE_WAIT);
    CHECK(::recv(read.server, &byte, 1, 0) == 0);

    CHECK_EQ(tcp_state(both.client), TCP_CLOSE);
    CHECK_EQ(rest(both.client), "b");
    CHECK_EQ(rest(both.server), "a");
    CHECK(::send(both.client, "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);

    CHECK_EQ(tcp_state(full.client), TCP_FIN_WAIT1);
    CHECK(rest(full.server) == sent);
    await_tcp_state(full.client, TCP_FIN_WAIT2);

    CHECK_EQ(tcp_state(reset.server), TCP_CLOSE);
    CHECK(::recv(reset.server, &byte, 1, 0) < 0 && errno == ECONNRESET);
    CHECK(::recv(reset.server, &byte, 1, 0) == 0);
  }
}
