// SPDX-License-Identifier: Apache-2.0
// A file of /proc that shows a descriptor which is closed by now cannot be opened again, and is refused by
// name.
#include "harness/cr_memory.h"

void cr::test() {
  const int shown = ::open("/dev/null", O_RDONLY);
  const int fd = ::open(("/proc/self/fdinfo/" + std::to_string(shown)).c_str(), O_RDONLY);
  REQUIRE(fd >= 0 && ::close(shown) == 0);
  checkpoint_here();
  char byte;
  CHECK(::read(fd, &byte, 1) < 0);
}

cr::Options cr::options() {
  return {.refused = "which is closed"};
}
