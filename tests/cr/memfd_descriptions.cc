// SPDX-License-Identifier: Apache-2.0
// One memfd, opened again through /proc/self/fd: each description has its own position, access and flags, all
// have one content, with its holes, mode and owner.
#include "harness/cr_memory.h"

void cr::test() {
  const int first = ::memfd_create("opened again", MFD_CLOEXEC);
  REQUIRE(first >= 0 && ::write(first, "0123456789", 10) == 10);
  // A hole of 30 pages, a page, and nothing but a hole up to a large size.
  REQUIRE(::pwrite(first, "island", 6, 31 * kPage + 100) == 6);
  REQUIRE(::ftruncate(first, 1L << 40) == 0);
  const std::string link = "/proc/self/fd/" + std::to_string(first);
  auto open = [&](int flags) {
    const int fd = ::open(link.c_str(), flags);
    REQUIRE(fd >= 0);
    return fd;
  };
  const int reader = open(O_RDONLY), writer = open(O_WRONLY | O_CLOEXEC), appender = open(O_RDWR | O_APPEND);
  const int place = open(O_PATH), other = open(O_RDWR | O_NONBLOCK | O_NOATIME), same = ::dup(reader);
  REQUIRE(::lseek(first, 1L << 41, SEEK_SET) == 1L << 41 && ::lseek(reader, 4, SEEK_SET) == 4);
  REQUIRE(::lseek(writer, 2, SEEK_SET) == 2);
  // Owner and mode that would not let anybody open it.
  REQUIRE(::fchmod(first, 04010) == 0 && ::fchown(first, 1234, 5678) == 0 && ::fchmod(first, 04010) == 0);
  const timespec times[2] = {{1000, 5}, {2000, 7}};
  REQUIRE(::futimens(first, times) == 0);
  struct stat before{};
  REQUIRE(::fstat(first, &before) == 0);

  // Nobody has this one but by its place.
  const int alone = ::memfd_create("alone", 0);
  REQUIRE(::write(alone, "alone", 5) == 5);
  const int alone_place = ::open(("/proc/self/fd/" + std::to_string(alone)).c_str(), O_PATH);
  REQUIRE(alone_place >= 0);
  ::close(alone);

  checkpoint_here();
  struct stat after{};
  CHECK(::fstat(first, &after) == 0);
  CHECK_EQ(after.st_mode, before.st_mode);
  CHECK_EQ(after.st_mtim.tv_sec, 2000);
  CHECK_EQ(after.st_mtim.tv_nsec, 7);
  CHECK(after.st_uid == 1234 && after.st_gid == 5678);
  CHECK_EQ(after.st_size, 1L << 40);
  CHECK_EQ(after.st_blocks, before.st_blocks);
  CHECK_EQ(::lseek(first, 0, SEEK_CUR), 1L << 41);
  char buffer[16] = {};
  CHECK_EQ(::read(reader, buffer, 3), 3);
  CHECK_EQ(std::string(buffer), "456");
  CHECK_EQ(::lseek(same, 0, SEEK_CUR), 7);
  CHECK_EQ(::lseek(other, 0, SEEK_CUR), 0);
  CHECK(::write(reader, "x", 1) < 0 && errno == EBADF);
  CHECK_EQ(::write(writer, "W", 1), 1);
  CHECK_EQ(::pread(other, buffer, 4, 0), 4);
  CHECK_EQ(std::string(buffer, 4), "01W3");
  CHECK((::fcntl(appender, F_GETFL) & O_APPEND) != 0 && (::fcntl(place, F_GETFL) & O_PATH) != 0);
  CHECK((::fcntl(other, F_GETFL) & (O_NONBLOCK | O_NOATIME)) == (O_NONBLOCK | O_NOATIME));
  CHECK_EQ(::lseek(other, 1 * kPage, SEEK_DATA), static_cast<off_t>(31 * kPage));
  CHECK_EQ(::lseek(other, 31 * kPage, SEEK_HOLE), static_cast<off_t>(32 * kPage));
  CHECK(::lseek(other, 32 * kPage, SEEK_DATA) < 0 && errno == ENXIO);
  struct stat by_place{};
  CHECK(::fstat(place, &by_place) == 0 && by_place.st_ino == after.st_ino);
  const int again = ::open(("/proc/self/fd/" + std::to_string(alone_place)).c_str(), O_RDONLY);
  CHECK_EQ(read_all(again), "alone");
}
