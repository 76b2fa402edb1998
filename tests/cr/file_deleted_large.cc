// SPDX-License-Identifier: Apache-2.0
// Deleted files that are large: bytes beyond 2 and 4 GiB, a hole of a GiB, thousands of small holes. What was
// a hole is one still, so that none of it costs anything.
#include "harness/cr_memory.h"

namespace {

constexpr off_t kGib = 1 << 30;

std::string bytes_at(int fd, off_t at, std::size_t len) {
  std::string text(len, '?');
  CHECK_EQ(::pread(fd, text.data(), len, at), static_cast<ssize_t>(len));
  return text;
}

}  // namespace

void cr::test() {
  const int far = make_file("far"), comb = make_file("comb"), hole = make_file("hole");
  REQUIRE(::pwrite(far, "start", 5, 0) == 5 && ::pwrite(far, "middle", 6, 2 * kGib - 3) == 6);
  REQUIRE(::pwrite(far, "end", 3, 4 * kGib + 1) == 3);
  REQUIRE(::lseek(far, 4 * kGib, SEEK_SET) == 4 * kGib);
  constexpr int kTeeth = 3000;
  for (int i = 0; i < kTeeth; ++i)
    REQUIRE(::pwrite(comb, &i, sizeof(i), static_cast<off_t>(i) * 2 * kPage) == sizeof(i));
  REQUIRE(::ftruncate(comb, kTeeth * 2 * kPage) == 0 && ::ftruncate(hole, kGib + 1) == 0);
  struct stat before[3]{}, after{};
  const int fds[] = {far, comb, hole};
  for (int i = 0; i < 3; ++i) REQUIRE(::fstat(fds[i], &before[i]) == 0);
  for (const char* name : {"/far", "/comb", "/hole"}) REQUIRE(::unlink((directory() + name).c_str()) == 0);
  checkpoint_here();
  for (int i = 0; i < 3; ++i) {
    REQUIRE(::fstat(fds[i], &after) == 0);
    CHECK_EQ(after.st_size, before[i].st_size);
    CHECK(after.st_blocks <= before[i].st_blocks + 64);
  }
  CHECK_EQ(bytes_at(far, 0, 5), "start");
  CHECK_EQ(bytes_at(far, 2 * kGib - 3, 6), "middle");
  CHECK_EQ(::lseek(far, 0, SEEK_CUR), 4 * kGib);
  CHECK_EQ(read_all(far), std::string("\0end", 4));
  for (int i = 0; i < kTeeth; ++i) {
    int tooth = -1;
    CHECK_EQ(::pread(comb, &tooth, sizeof(tooth), static_cast<off_t>(i) * 2 * kPage), 4);
    CHECK_EQ(tooth, i);
  }
  CHECK_EQ(::lseek(comb, 0, SEEK_HOLE), static_cast<off_t>(kPage));
  CHECK(::lseek(hole, 0, SEEK_DATA) < 0 && errno == ENXIO);
}
