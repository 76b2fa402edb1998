// SPDX-License-Identifier: Apache-2.0
// Connections with both ends in the tree: over IPv4, IPv6 and mapped addresses, idle and with unread bytes,
// by whom they are between, and that they go on.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

void cr::test() {
  const int v4 = listener_on("127.0.0.1"), v6 = listener_on("::1"), any = listener_on("::");
  std::vector<Connection> all = {connect_to(v4), connect_to(v6), connect_to(any, "127.0.0.1"),
                                 connect_to(any, "::1"), connect_to(any, "::ffff:127.0.0.1")};
  std::vector<std::string> names;
  for (const Connection& c : all) {
    exchange(c);
    send_all(c.client, "unread");
    names.push_back(name_of(c.client).text() + peer_of(c.client).text() + name_of(c.server).text() +
                    peer_of(c.server).text());
  }
  // What new sockets are by then is not what these are.
  REQUIRE(set_setting("ipv6/bindv6only", "1"));
  checkpoint_here();
  for (std::size_t i = 0; i < all.size(); ++i) {
    const Connection& c = all[i];
    CHECK_EQ(names[i], name_of(c.client).text() + peer_of(c.client).text() + name_of(c.server).text() +
                           peer_of(c.server).text());
    CHECK_EQ(tcp_state(c.client), TCP_ESTABLISHED);
    CHECK_EQ(receive(c.server, 6), "unread");
    exchange(c);
    ::close(c.client);
    CHECK_EQ(receive(c.server, 1), "");
    ::close(c.server);
  }
  // Listeners still listen.
  for (const int listener : {v4, v6, any}) exchange(connect_to(listener, listener == any ? "::1" : nullptr));
}
