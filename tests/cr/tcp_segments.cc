// SPDX-License-Identifier: Apache-2.0
// Segments are as large as they were: what the other end takes, not what is taken of everybody; and who is
// told to make them smaller does so of later connections.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

void cr::test() {
  struct One {
    cr::Connection c;
    int client = 0, server = 0;
  };
  std::vector<One> all;
  for (const char* host : {"127.0.0.1", "::1"})
    for (const int largest : {900, 4000}) {
      const int listener = listener_on(host);
      set_option(listener, IPPROTO_TCP, TCP_MAXSEG, largest);
      One one;
      one.c = connect_to(listener);
      exchange(one.c);
      one.client = option(one.c.client, IPPROTO_TCP, TCP_MAXSEG);
      one.server = option(one.c.server, IPPROTO_TCP, TCP_MAXSEG);
      // Less by what each segment has of options.
      CHECK(one.client > 850);
      CHECK(one.client <= largest);
      CHECK(one.server <= largest);
      all.push_back(one);
    }
  checkpoint_here();
  for (const One& one : all) {
    CHECK_EQ(one.client, option(one.c.client, IPPROTO_TCP, TCP_MAXSEG));
    CHECK_EQ(one.server, option(one.c.server, IPPROTO_TCP, TCP_MAXSEG));
    exchange(one.c);
  }
}
