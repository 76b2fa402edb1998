// SPDX-License-Identifier: Apache-2.0
// Regular files opened in every way: position, status flags, and that reading and writing go on in the right
// place.
#include "harness/cr_memory.h"

void cr::test() {
  const int both = make_file("both", "0123456789");
  REQUIRE(::lseek(both, 4, SEEK_SET) == 4);
  const int reading = ::open((directory() + "/both").c_str(), O_RDONLY | O_NONBLOCK | O_NOATIME);
  REQUIRE(::lseek(reading, 7, SEEK_SET) == 7);
  const int writing = make_file("writing", "abc", O_WRONLY | O_SYNC);
  const int beyond = make_file("beyond");
  constexpr off_t kFar = (6LL << 30) + 1;
  REQUIRE(::lseek(beyond, kFar, SEEK_SET) == kFar);
  // tmpfs takes O_DIRECT since 6.6.
  const int direct = make_file("direct", {}, O_RDWR | O_CLOEXEC);
  const bool takes_direct = ::fcntl(direct, F_SETFL, O_DIRECT) == 0;
  const int append = make_file("append", "old", O_WRONLY | O_APPEND);
  const int read_only_file = make_file("mode0400", "secret", O_RDWR, 0400);
  REQUIRE(::fchmod(read_only_file, 0) == 0);
  checkpoint_here();
  CHECK_EQ(::write(both, "XY", 2), 2);
  CHECK_EQ(read_all(reading), "789");
  CHECK_EQ(file_content("both"), "0123XY6789");
  CHECK(::write(reading, "x", 1) < 0 && errno == EBADF);
  CHECK_EQ(::write(writing, "d", 1), 1);
  CHECK_EQ(file_content("writing"), "dbc");
  char byte;
  CHECK(::read(writing, &byte, 1) < 0 && errno == EBADF);
  CHECK_EQ(::lseek(beyond, 0, SEEK_CUR), kFar);
  CHECK_EQ(::fcntl(direct, F_GETFL) & O_DIRECT, takes_direct ? O_DIRECT : 0);
  CHECK_EQ(::fcntl(reading, F_GETFL) & (O_NONBLOCK | O_NOATIME), O_NONBLOCK | O_NOATIME);
  CHECK_EQ(::fcntl(writing, F_GETFL) & O_SYNC, O_SYNC);
  // Somebody else writes: O_APPEND goes behind it.
  const int other = ::open((directory() + "/append").c_str(), O_WRONLY | O_APPEND);
  CHECK_EQ(::write(other, "+other", 6), 6);
  CHECK_EQ(::write(append, "+own", 4), 4);
  CHECK_EQ(file_content("append"), "old+other+own");
  CHECK_EQ(::pwrite(read_only_file, "S", 1, 0), 1);
}
