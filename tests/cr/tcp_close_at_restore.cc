// SPDX-License-Identifier: Apache-2.0
// Taken with --tcp-established and restored with --tcp-close: connections are as if they had been reset, what
// was in their queues is gone, and whoever is at the other end outside hears of it; listeners are as they
// were.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}, .restore_args = {"--tcp-close"}};
}

void cr::test() {
  const int listener = listener_on("127.0.0.1"), v6 = listener_on("::1");
  const Connection c = connect_to(listener), of_v6 = connect_to(v6), half = connect_to(listener);
  send_all(c.client, "lost");
  REQUIRE(::shutdown(half.client, SHUT_WR) == 0);
  const std::string more = pattern(8 << 20);
  send_until_full(of_v6.server, more);
  checkpoint_here();
  for (const int fd : {c.client, c.server, of_v6.client, of_v6.server, half.client, half.server}) {
    char byte;
    CHECK_EQ(tcp_state(fd), TCP_CLOSE);
    CHECK(::recv(fd, &byte, 1, 0) < 0 && errno == ECONNRESET);
    CHECK(::recv(fd, &byte, 1, 0) == 0);
  }
  exchange(connect_to(listener));
  exchange(connect_to(v6));
}
