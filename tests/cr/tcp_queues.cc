// SPDX-License-Identifier: Apache-2.0
// Queues full to the brim in both directions, with buffers as the kernel gives them, and large and small
// ones: what was received and not read, what was sent and not acknowledged, what could not be sent yet.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

void cr::test() {
  struct Full {
    cr::Connection c;
    std::string to_server, to_client;
    int receive_buffer = 0, send_buffer = 0;
  };
  std::vector<Full> all;
  const int listener = listener_on("127.0.0.1");
  const std::string data = pattern(8 << 20);
  for (const int buffer : {0, 4096, 1 << 20}) {
    Full full;
    if (buffer != 0) set_option(listener, SOL_SOCKET, SO_RCVBUF, buffer);
    full.c = connect_to(listener);
    if (buffer != 0) set_option(full.c.client, SOL_SOCKET, SO_SNDBUF, buffer);
    full.to_server = data.substr(0, send_until_full(full.c.client, data));
    full.to_client = data.substr(0, send_until_full(full.c.server, data));
    full.receive_buffer = option(full.c.server, SOL_SOCKET, SO_RCVBUF);
    full.send_buffer = option(full.c.client, SOL_SOCKET, SO_SNDBUF);
    all.push_back(std::move(full));
  }
  checkpoint_here();
  for (Full& full : all) {
    CHECK_EQ(full.receive_buffer, option(full.c.server, SOL_SOCKET, SO_RCVBUF));
    CHECK_EQ(full.send_buffer, option(full.c.client, SOL_SOCKET, SO_SNDBUF));
    CHECK(receive(full.c.server, full.to_server.size()) == full.to_server);
    CHECK(receive(full.c.client, full.to_client.size()) == full.to_client);
    exchange(full.c);
  }
}
