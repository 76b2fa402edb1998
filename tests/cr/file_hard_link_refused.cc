// SPDX-License-Identifier: Apache-2.0
// A deleted name of a file that has other names cannot be given back without --link-remap, and is refused by
// name.
#include "harness/cr_memory.h"

void cr::test() {
  const int fd = make_file("opened", "content");
  REQUIRE(::link((directory() + "/opened").c_str(), (directory() + "/other").c_str()) == 0);
  REQUIRE(::unlink((directory() + "/opened").c_str()) == 0);
  checkpoint_here();
  CHECK_EQ(read_all(fd), "content");
}

cr::Options cr::options() {
  return {.refused = "link-remap"};
}
