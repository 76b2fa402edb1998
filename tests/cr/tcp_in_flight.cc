// SPDX-License-Identifier: Apache-2.0
// A connection that nobody accepted yet is refused, and the option named that would lose it.
#include "harness/cr_net.h"

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}, .refused = "--skip-in-flight"};
}

void cr::test() {
  const int listener = listener_on("127.0.0.1");
  Address a = name_of(listener);
  const int client = ::socket(AF_INET, SOCK_STREAM, 0);
  REQUIRE(::connect(client, a.get(), a.len) == 0);
  checkpoint_here();
  const int server = ::accept(listener, nullptr, nullptr);
  exchange({client, server});
}
