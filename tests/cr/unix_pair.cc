// SPDX-License-Identifier: Apache-2.0
// Socket pairs of every type with messages in both directions: bytes, bounds, who made them, and that they
// work afterwards.
#include "harness/cr_unix.h"

void cr::test() {
  const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
  int ends[3][2];
  for (int i = 0; i < 3; ++i) {
    REQUIRE(::socketpair(AF_UNIX, types[i] | (i == 1 ? SOCK_NONBLOCK : 0), 0, ends[i]) == 0);
    send_text(ends[i][0], "one");
    send_text(ends[i][0], "two");
    send_text(ends[i][1], std::string(2000, 'b'));
  }
  checkpoint_here();
  for (int i = 0; i < 3; ++i) {
    if (types[i] == SOCK_STREAM) {
      CHECK_EQ(receive_text(ends[i][1]), "onetwo");
    } else {
      CHECK_EQ(receive_text(ends[i][1]), "one");
      CHECK_EQ(receive_text(ends[i][1]), "two");
    }
    CHECK_EQ(receive_text(ends[i][0]), std::string(2000, 'b'));
    CHECK_EQ(receive_text(ends[i][0]), "error 11");
    send_text(ends[i][1], "after");
    CHECK_EQ(receive_text(ends[i][0]), "after");
    CHECK_EQ(own_name(ends[i][0]), "");
    CHECK_EQ(peer_name(ends[i][0]), "");
    check_peer(ends[i][0], ::getpid());
    check_peer(ends[i][1], ::getpid());
    CHECK_EQ(int_option(ends[i][0], SOL_SOCKET, SO_TYPE), types[i]);
  }
}
