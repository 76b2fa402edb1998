// SPDX-License-Identifier: Apache-2.0
// A deleted file that is larger than --ghost-limit allows is refused by that name; holes count.
#include "harness/cr_memory.h"

void cr::test() {
  const int fd = make_file("gone", "content");
  REQUIRE(::ftruncate(fd, (1 << 20) + 1) == 0 && ::unlink((directory() + "/gone").c_str()) == 0);
  checkpoint_here();
  CHECK_EQ(read_all(fd).substr(0, 7), "content");
}

cr::Options cr::options() {
  return {.dump_args = {"--ghost-limit", "1M", "--ghost-fiemap"}, .refused = "--ghost-limit"};
}
