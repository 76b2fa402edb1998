// SPDX-License-Identifier: Apache-2.0
// An urgent byte among messages that have to be read by a look at the queue, which passes over it.
#include "harness/cr_unix.h"

cr::Options cr::options() {
  return {.refused = "an urgent byte (MSG_OOB) is among long messages"};
}

void cr::test() {
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  const std::string text(100'000, 'x');
  send_text(pair[0], text);
  if (::send(pair[0], "!", 1, MSG_OOB) != 1) skip("unix-oob");
  checkpoint_here();
  std::string got;
  while (got.size() < text.size()) {
    const std::string part = receive_text(pair[1]);
    REQUIRE(!part.empty());
    got += part;
  }
  CHECK(got.starts_with(text));
}
