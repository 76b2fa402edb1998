// SPDX-License-Identifier: Apache-2.0
// Pipes of which only one end is left: the rest of the data and then the end of file, or SIGPIPE.
#include <signal.h>

#include "harness/cr_memory.h"

void cr::test() {
  ::signal(SIGPIPE, SIG_IGN);
  int with_data[2], empty[2], nobody_reads[2], unread[2];
  REQUIRE(::pipe(with_data) == 0 && ::pipe(empty) == 0 && ::pipe(nobody_reads) == 0 && ::pipe(unread) == 0);
  REQUIRE(::write(with_data[1], "rest", 4) == 4 && ::write(unread[1], "lost", 4) == 4);
  ::close(with_data[1]);
  ::close(empty[1]);
  ::close(nobody_reads[0]);
  ::close(unread[0]);
  checkpoint_here();
  CHECK_EQ(read_all(with_data[0]), "rest");
  char byte;
  CHECK_EQ(::read(empty[0], &byte, 1), 0);
  CHECK(::write(nobody_reads[1], "x", 1) < 0 && errno == EPIPE);
  CHECK(::write(unread[1], "x", 1) < 0 && errno == EPIPE);
}
