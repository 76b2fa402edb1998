// SPDX-License-Identifier: Apache-2.0
// An urgent byte in a stream, before, between and after ordinary ones.
#include "harness/cr_unix.h"

namespace {

using namespace cr;

// An end to receive from; -1: there are no urgent bytes.
int sent() {
  int pair[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
  send_text(pair[0], "before");
  if (::send(pair[0], "!", 1, MSG_OOB) != 1) return -1;
  send_text(pair[0], "after");
  return pair[1];
}

std::string received(int fd) {
  const std::string before = receive_text(fd), urgent = receive_text(fd, MSG_OOB | MSG_DONTWAIT);
  return before + ", " + urgent + ", " + receive_text(fd);
}

}  // namespace

void cr::test() {
  const int fd = sent();
  if (fd < 0) skip("unix-oob");
  checkpoint_here();
  const std::string got = received(fd);
  CHECK(got.starts_with("before, !, "));
  // What follows is for the kernel to say: some do not show it.
  CHECK_EQ(got, received(sent()));
}
