// SPDX-License-Identifier: Apache-2.0
// Without an option an established connection is refused, and the option named.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.refused = "--tcp-established"};
}

void cr::test() {
  const Connection c = connect_to(listener_on("127.0.0.1"));
  send_all(c.client, "unread");
  checkpoint_here();
  CHECK_EQ(receive(c.server, 6), "unread");
  exchange(c);
}
