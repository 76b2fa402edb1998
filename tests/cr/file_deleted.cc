// SPDX-License-Identifier: Apache-2.0
// Deleted files that are still open: contents, holes, size, positions, two openings of one file, its mode;
// they come back without a name.
#include "harness/cr_memory.h"

void cr::test() {
  const int fd = make_file("gone", "0123456789", O_RDWR, 0640);
  const int again = ::open((directory() + "/gone").c_str(), O_RDONLY);
  REQUIRE(::fchown(fd, 12, 34) == 0);
  REQUIRE(::lseek(fd, 4, SEEK_SET) == 4 && ::lseek(again, 2, SEEK_SET) == 2);
  const int sparse = make_file("sparse");
  REQUIRE(::pwrite(sparse, "end", 3, (64 << 20) + 5) == 3 && ::ftruncate(sparse, 128 << 20) == 0);
  const int nameless = ::open(directory().c_str(), O_TMPFILE | O_RDWR, 0600);
  REQUIRE(nameless >= 0 && ::write(nameless, "tmp", 3) == 3);
  const int empty = make_file("empty");
  for (const char* name : {"/gone", "/sparse", "/empty"})
    REQUIRE(::unlink((directory() + name).c_str()) == 0);
  checkpoint_here();
  CHECK_EQ(read_all(fd), "456789");
  CHECK_EQ(::pwrite(fd, "X", 1, 2), 1);
  CHECK_EQ(read_all(again), "X3456789");
  struct stat st{};
  CHECK_EQ(::fstat(fd, &st), 0);
  CHECK(st.st_nlink == 0 && (st.st_mode & 07777) == 0640 && st.st_uid == 12 && st.st_gid == 34);
  CHECK_EQ(::fstat(sparse, &st), 0);
  CHECK(st.st_size == 128 << 20 && st.st_blocks < 100);
  char text[4] = {};
  CHECK_EQ(::pread(sparse, text, 3, (64 << 20) + 5), 3);
  CHECK_EQ(std::string(text), "end");
  CHECK_EQ(::lseek(nameless, 0, SEEK_CUR), 3);
  CHECK_EQ(::linkat(AT_FDCWD, ("/proc/self/fd/" + std::to_string(nameless)).c_str(), AT_FDCWD,
                    (directory() + "/named").c_str(), AT_SYMLINK_FOLLOW),
           0);
  CHECK_EQ(file_content("named"), "tmp");
  CHECK_EQ(read_all(empty), "");
  for (const char* name : {"/gone", "/sparse", "/empty"})
    CHECK(::access((directory() + name).c_str(), F_OK) < 0);
}

cr::Options cr::options() {
  // The kernel calls a file without a name by its inode number.
  return {.ignore = {"*/fd/*/link"}};
}
