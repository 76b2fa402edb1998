// SPDX-License-Identifier: Apache-2.0
// Device nodes that were deleted: opened twice, with a place among the openings, mapped, one whose name is
// another file's now.
#include <sys/sysmacros.h>

#include "harness/cr_memory.h"

void cr::test() {
  const std::string null = directory() + "/null", zeros = directory() + "/zero";
  const int made = ::mknod(null.c_str(), S_IFCHR | 0624, makedev(1, 3));
  if (made != 0) skip("machine: CAP_MKNOD");
  REQUIRE(::mknod(zeros.c_str(), S_IFCHR | 0600, makedev(1, 5)) == 0);
  REQUIRE(::chmod(null.c_str(), 0624) == 0 && ::chown(null.c_str(), 12, 34) == 0);
  const int place = ::open(null.c_str(), O_PATH), reader = ::open(null.c_str(), O_RDONLY);
  if (reader < 0 && errno == EACCES) skip("machine: device nodes below " + directory());
  const int writer = ::open(null.c_str(), O_WRONLY | O_NONBLOCK | O_APPEND),
            zero_fd = ::open(zeros.c_str(), O_RDWR);
  REQUIRE(place >= 0 && reader >= 0 && writer >= 0 && zero_fd >= 0);
  char* mapped = map(2 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero_fd);
  fill(mapped, 1);
  REQUIRE(::unlink(null.c_str()) == 0 && ::unlink(zeros.c_str()) == 0);
  ::close(make_file("null", "taken"));

  checkpoint_here();
  struct stat by_place{}, by_reader{};
  CHECK(::fstat(place, &by_place) == 0 && ::fstat(reader, &by_reader) == 0);
  CHECK_EQ(by_place.st_ino, by_reader.st_ino);
  CHECK(by_reader.st_rdev == makedev(1, 3) && by_reader.st_mode == (S_IFCHR | 0624));
  CHECK(by_reader.st_uid == 12 && by_reader.st_gid == 34);
  char buffer[8];
  CHECK_EQ(::read(reader, buffer, 8), 0);
  CHECK_EQ(::write(writer, buffer, 8), 8);
  CHECK(::write(reader, buffer, 8) < 0 && errno == EBADF);
  CHECK_EQ(::read(zero_fd, buffer, 8), 8);
  CHECK(filled(mapped, 1) && zero(mapped + kPage));
  CHECK_EQ(file_content("null"), "taken");
}
