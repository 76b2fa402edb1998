// SPDX-License-Identifier: Apache-2.0
// A child that answers over a socket pair, blocked in read(2), with a request that it did not see yet waiting
// in another one; the peer is told to be who made the pair.
#include "harness/cr_unix.h"

void cr::test() {
  int pair[2], other[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  REQUIRE(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, other) == 0);
  const pid_t parent = ::getpid();
  Child child([&] {
    ::close(pair[0]);
    ::close(other[0]);
    char byte;
    while (::read(pair[1], &byte, 1) == 1) REQUIRE(::write(pair[1], &++byte, 1) == 1);
    check_peer(pair[1], parent);
    CHECK_EQ(receive_text(other[1]), "waiting");
    CHECK_EQ(receive_text(other[1]), "end");
  });
  ::close(pair[1]);
  ::close(other[1]);
  send_text(other[0], "waiting");
  auto ask = [&](char byte) {
    REQUIRE(::write(pair[0], &byte, 1) == 1);
    char answer = 0;
    CHECK_EQ(::read(pair[0], &answer, 1), 1);
    CHECK_EQ(answer, static_cast<char>(byte + 1));
  };
  ask('a');
  wait_in_syscall(child.pid(), SYS_read);
  checkpoint_here();
  ask('m');
  check_peer(pair[0], parent);
  ::close(other[0]);
  ::close(pair[0]);
  child.join();
}
