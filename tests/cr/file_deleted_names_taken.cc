// SPDX-License-Identifier: Apache-2.0
// What was deleted cannot always be made under its old name again: that of a file is somebody else's by now
// and as long as names can be, and that of a directory is a file's, which says "Not a directory" to who looks
// further.
#include "harness/cr_memory.h"

void cr::test() {
  const auto path = [](const std::string& name) { return directory() + "/" + name; };
  const std::string longest(255, 'n');
  const int gone = make_file(longest, "gone");
  REQUIRE(::unlink(path(longest).c_str()) == 0);
  const int taken = make_file(longest, "taken");

  REQUIRE(::mkdir(path("outer").c_str(), 0755) == 0 && ::mkdir(path("outer/inner").c_str(), 0755) == 0);
  const int inside = make_file("outer/inner/file", "inside");
  REQUIRE(::chdir(path("outer/inner").c_str()) == 0);
  REQUIRE(::unlink("file") == 0 && ::rmdir(path("outer/inner").c_str()) == 0);
  REQUIRE(::rmdir(path("outer").c_str()) == 0);
  REQUIRE(::close(make_file("outer", "a file")) == 0);
  checkpoint_here();
  CHECK_EQ(read_all(gone), "gone");
  CHECK_EQ(read_all(taken), "taken");
  CHECK_EQ(file_content(longest), "taken");
  CHECK_EQ(read_all(inside), "inside");
  CHECK_EQ(file_content("outer"), "a file");
  struct stat st{};
  CHECK(::stat(".", &st) == 0 && S_ISDIR(st.st_mode) && st.st_nlink == 0);
  CHECK(::open("file", O_RDWR | O_CREAT, 0600) == -1 && errno == ENOENT);
}

// What is not under its old name has another one for good, which is seen in the links.
cr::Options cr::options() {
  return {.ignore = {"*/cwd", "*/fd/*/link"}};
}
