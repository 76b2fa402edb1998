// SPDX-License-Identifier: Apache-2.0
// A file whose name looks like one that NFS gives to removed files is an ordinary file on any other file
// system.
#include "harness/cr_memory.h"

void cr::test() {
  const int fd = make_file("data", "0123456789");
  const std::string name = directory() + "/.nfs000000000000abcd00000001";
  REQUIRE(::rename((directory() + "/data").c_str(), name.c_str()) == 0 && ::lseek(fd, 4, SEEK_SET) == 4);
  checkpoint_here();
  CHECK_EQ(read_all(fd), "456789");
  struct stat own{}, named{};
  REQUIRE(::fstat(fd, &own) == 0 && ::stat(name.c_str(), &named) == 0);
  CHECK_EQ(own.st_ino, named.st_ino);
}
