// SPDX-License-Identifier: Apache-2.0
// Files and directories that were moved since they were opened are found under their new name.
#include "harness/cr_memory.h"

void cr::test() {
  REQUIRE(::mkdir((directory() + "/old dir").c_str(), 0755) == 0);
  const int inside = make_file("old dir/file with\nnewline", "inside");
  const int dir = ::open((directory() + "/old dir").c_str(), O_RDONLY | O_DIRECTORY);
  const int file = make_file("before", "text");
  const int fake = make_file("looks like (deleted)", "not deleted");
  REQUIRE(::rename((directory() + "/before").c_str(), (directory() + "/after").c_str()) == 0);
  REQUIRE(::rename((directory() + "/old dir").c_str(), (directory() + "/new dir").c_str()) == 0);
  checkpoint_here();
  CHECK_EQ(read_all(file), "text");
  CHECK_EQ(read_all(inside), "inside");
  CHECK_EQ(read_all(fake), "not deleted");
  CHECK(::openat(dir, "file with\nnewline", O_RDONLY) >= 0);
  CHECK_EQ(file_content("after"), "text");
}
