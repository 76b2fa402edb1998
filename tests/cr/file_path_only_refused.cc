// SPDX-License-Identifier: Apache-2.0
// What is open with O_PATH, was deleted, and is no file, directory or link is refused by name.
#include "harness/cr_memory.h"

void cr::test() {
  const std::string path = directory() + "/fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const int fd = ::open(path.c_str(), O_PATH);
  REQUIRE(fd >= 0 && ::unlink(path.c_str()) == 0);
  checkpoint_here();
  struct stat st{};
  CHECK(::fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode));
}

cr::Options cr::options() {
  return {.refused = "O_PATH"};
}
