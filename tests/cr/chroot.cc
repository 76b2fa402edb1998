// SPDX-License-Identifier: Apache-2.0
// A process in a changed root directory, whose paths all begin there.
#include <fcntl.h>
#include <sys/stat.h>

#include "harness/cr_test.h"

void cr::test() {
  const std::string inner = directory() + "/inner";
  REQUIRE(::mkdir(inner.c_str(), 0755) == 0);
  // The root stays outside: the runner's files must be in its reach.
  REQUIRE(::chroot(directory().c_str()) == 0 && ::chdir("/inner") == 0);
  set_directory("/");
  const int fd = ::open("/inner/file", O_CREAT | O_RDWR, 0644);
  REQUIRE(fd >= 0 && ::write(fd, "abc", 3) == 3);
  checkpoint_here();
  char path[64];
  CHECK_EQ(std::string(::getcwd(path, sizeof(path))), "/inner");
  CHECK(::access("/usr", F_OK) < 0);
  REQUIRE(::write(fd, "def", 3) == 3);
  char text[8] = {};
  CHECK_EQ(::pread(::open("/inner/file", O_RDONLY), text, 8, 0), 6);
  CHECK_EQ(std::string(text), "abcdef");
}
