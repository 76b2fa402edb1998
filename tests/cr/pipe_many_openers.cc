// SPDX-License-Identifier: Apache-2.0
// One pipe with several descriptions of the same end: made again through /proc, each with its own flags.
#include "harness/cr_memory.h"

void cr::test() {
  int pipe[2];
  REQUIRE(::pipe(pipe) == 0);
  const std::string again = "/proc/self/fd/" + std::to_string(pipe[0]);
  const int reader = ::open(again.c_str(), O_RDONLY | O_NONBLOCK);
  const int writer = ::open(again.c_str(), O_WRONLY);
  const int both = ::open(again.c_str(), O_RDWR);
  REQUIRE(reader >= 0 && writer >= 0 && both >= 0);
  REQUIRE(::write(writer, "abc", 3) == 3);
  checkpoint_here();
  char buffer[8] = {};
  CHECK_EQ(::read(reader, buffer, 1), 1);
  CHECK_EQ(::read(pipe[0], buffer + 1, 1), 1);
  CHECK_EQ(::read(both, buffer + 2, 1), 1);
  CHECK_EQ(std::string(buffer), "abc");
  CHECK(::read(reader, buffer, 1) < 0 && errno == EAGAIN);
  CHECK_EQ(::fcntl(pipe[0], F_GETFL) & O_NONBLOCK, 0);
  CHECK_EQ(::write(pipe[1], "1", 1), 1);
  CHECK_EQ(::write(both, "2", 1), 1);
  CHECK_EQ(::read(reader, buffer, 8), 2);
}
