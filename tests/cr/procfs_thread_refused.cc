// SPDX-License-Identifier: Apache-2.0
// A file of /proc that shows a thread which has ended while its process lives on is refused by name.
#include <thread>

#include "harness/cr_memory.h"

void cr::test() {
  int fd = -1;
  std::thread([&] { fd = ::open("/proc/thread-self/comm", O_RDONLY); }).join();
  REQUIRE(fd >= 0);
  checkpoint_here();
  char byte;
  CHECK(::read(fd, &byte, 1) < 0);
}

cr::Options cr::options() {
  return {.refused = "which has ended"};
}
