// SPDX-License-Identifier: Apache-2.0
// A file that was replaced under its name (as editors and logrotate do): the descriptor keeps the old one,
// the name the new one, and restoring the old does no harm to the new.
#include "harness/cr_memory.h"

void cr::test() {
  const int old = make_file("name", "old content");
  REQUIRE(::lseek(old, 4, SEEK_SET) == 4);
  ::close(make_file("name.new", "new content, longer"));
  REQUIRE(::rename((directory() + "/name.new").c_str(), (directory() + "/name").c_str()) == 0);
  const int current = ::open((directory() + "/name").c_str(), O_RDWR);
  checkpoint_here();
  CHECK_EQ(read_all(old), "content");
  CHECK_EQ(::pwrite(old, "OLD", 3, 0), 3);
  CHECK_EQ(file_content("name"), "new content, longer");
  CHECK_EQ(::pwrite(current, "NEW", 3, 0), 3);
  CHECK_EQ(file_content("name"), "NEW content, longer");
}
