// SPDX-License-Identifier: Apache-2.0
// An open file of /proc that shows a process outside of the tree leads to it again while that lives.
#include "harness/cr_memory.h"

void cr::test() {
  const int status = ::open("/proc/1/status", O_RDONLY), place = ::open("/proc/1", O_PATH | O_DIRECTORY);
  REQUIRE(status >= 0 && place >= 0);
  char name[6] = {};
  REQUIRE(::read(status, name, 5) == 5 && std::string(name) == "Name:");
  checkpoint_here();
  CHECK_EQ(::lseek(status, 0, SEEK_CUR), 5);
  CHECK(read_all(status).find("\nPid:\t1\n") != std::string::npos);
  CHECK(::openat(place, "status", O_RDONLY) >= 0);
}

cr::Options cr::options() {
  // Inodes of proc are made when they are looked for.
  return {.ignore = {"*/fd/*/object"}};
}
