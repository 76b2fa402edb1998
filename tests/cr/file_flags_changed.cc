// SPDX-License-Identifier: Apache-2.0
// Status flags that were changed after opening (F_SETFL), on files, pipes and a device.
#include "harness/cr_memory.h"

void cr::test() {
  const int file = make_file("data", "abc");
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  const int device = ::open("/dev/zero", O_RDONLY);
  REQUIRE(::fcntl(file, F_SETFL, O_APPEND | O_NOATIME | O_NONBLOCK) == 0);
  REQUIRE(::fcntl(pipe[0], F_SETFL, O_NONBLOCK) == 0);
  REQUIRE(::fcntl(device, F_SETFL, O_NONBLOCK) == 0);
  checkpoint_here();
  CHECK_EQ(::fcntl(file, F_GETFL) & (O_APPEND | O_NOATIME | O_NONBLOCK), O_APPEND | O_NOATIME | O_NONBLOCK);
  CHECK_EQ(::write(file, "d", 1), 1);
  CHECK_EQ(file_content("data"), "abcd");
  char byte;
  CHECK(::read(pipe[0], &byte, 1) < 0 && errno == EAGAIN);
  CHECK_EQ(::fcntl(pipe[1], F_GETFL) & O_NONBLOCK, 0);
  CHECK_EQ(::fcntl(device, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
}
