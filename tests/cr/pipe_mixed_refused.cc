// SPDX-License-Identifier: Apache-2.0
// A pipe that holds plain bytes before packets: which is which cannot be read, so it is refused by name.
#include "harness/cr_memory.h"

void cr::test() {
  int ends[2];
  // A whole page: to less than that the packet would simply be added (fs/pipe.c:pipe_write()).
  char buffer[kPage] = {};
  REQUIRE(::pipe(ends) == 0 && ::write(ends[1], buffer, kPage) == static_cast<ssize_t>(kPage));
  REQUIRE(::fcntl(ends[1], F_SETFL, O_DIRECT) == 0 && ::write(ends[1], "packet", 6) == 6);
  checkpoint_here();
  CHECK_EQ(::read(ends[0], buffer, kPage), static_cast<ssize_t>(kPage));
  CHECK_EQ(::read(ends[0], buffer, 2), 2);
}

cr::Options cr::options() {
  return {.refused = "it holds packets (O_DIRECT) and bytes that are none"};
}
