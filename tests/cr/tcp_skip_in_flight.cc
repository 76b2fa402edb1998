// SPDX-License-Identifier: Apache-2.0
// With --skip-in-flight a connection that nobody has accepted is lost, and nothing else is: its client, if it
// is in the tree, hears that it is over; the listener and the connections that it made before are as they
// were.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established", "--skip-in-flight"}};
}

void cr::test() {
  for (const char* host : {"127.0.0.1", "::1"}) {
    const int listener = listener_on(host);
    const Connection accepted = connect_to(listener);
    send_all(accepted.client, "before");
    Address a = name_of(listener);
    const int waiting = ::socket(a.storage.ss_family, SOCK_STREAM, 0);
    REQUIRE(::connect(waiting, a.get(), a.len) == 0);
    send_all(waiting, "lost");
    checkpoint_here();
    REQUIRE(::fcntl(listener, F_SETFL, O_NONBLOCK) == 0);
    CHECK(::accept(listener, nullptr, nullptr) < 0 && errno == EAGAIN);
    CHECK_EQ(receive(accepted.server, 6), "before");
    exchange(accepted);
    char byte;
    CHECK(::recv(waiting, &byte, 1, 0) < 0 && errno == ECONNRESET);
    CHECK_EQ(tcp_state(waiting), TCP_CLOSE);
    REQUIRE(::fcntl(listener, F_SETFL, 0) == 0);
    exchange(connect_to(listener));
  }
}
