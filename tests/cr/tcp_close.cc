// SPDX-License-Identifier: Apache-2.0
// With --tcp-close connections come back as if they had been reset; listeners as they were.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-close"}};
}

void cr::test() {
  const int listener = listener_on("127.0.0.1"), v6 = listener_on("::1");
  const Connection c = connect_to(listener), of_v6 = connect_to(v6);
  send_all(c.client, "lost");
  checkpoint_here();
  for (const int fd : {c.client, c.server, of_v6.client, of_v6.server}) {
    char byte;
    CHECK_EQ(tcp_state(fd), TCP_CLOSE);
    CHECK(::recv(fd, &byte, 1, 0) < 0 && errno == ECONNRESET);
    CHECK(::recv(fd, &byte, 1, 0) == 0);
  }
  exchange(connect_to(listener));
  exchange(connect_to(v6));
}
