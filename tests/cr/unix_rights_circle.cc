// SPDX-License-Identifier: Apache-2.0
// Sockets in flight that hold each other: one end of each of two pairs lies in the queue of the other pair.
#include "harness/cr_unix.h"

void cr::test() {
  int a[2], b[2];
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, a) == 0 && ::socketpair(AF_UNIX, SOCK_DGRAM, 0, b) == 0);
  send_text(a[0], "to a1");
  send_text(b[0], "to b1");
  send_files(a[0], "b1", {b[1]});  // a1's queue holds b1
  send_files(b[0], "a1", {a[1]});  // b1's queue holds a1
  ::close(b[1]);
  // Only by a[1], which stays open, is anything to be had again.
  checkpoint_here();
  // A stream would go on up to the first message with files.
  char text[5];
  CHECK_EQ(::recv(a[1], text, sizeof text, 0), 5);
  CHECK_EQ(std::string(text, sizeof text), "to a1");
  Received b1 = receive(a[1]);
  REQUIRE(b1.files.size() == 1);
  CHECK_EQ(receive(b1.files[0]).text, "to b1");
  Received a1 = receive(b1.files[0]);
  REQUIRE(a1.files.size() == 1);
  send_text(a[0], "twice the same");
  CHECK_EQ(receive_text(a1.files[0]), "twice the same");
  CHECK_EQ(receive_text(a[1]), "error 11");
  send_text(b[0], "still");
  CHECK_EQ(receive_text(b1.files[0]), "still");
}
