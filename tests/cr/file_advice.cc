// SPDX-License-Identifier: Apache-2.0
// What posix_fadvise(2) said of a description, and the write-life hint of an inode. How much is read ahead
// shows in the page cache.
#include <algorithm>

#include "harness/cr_memory.h"

namespace {

constexpr std::size_t kPages = 1024;

// How many pages of the mapped file are in memory, when that has come to rest: mincore(2) does not count a
// page that is being read.
std::size_t in_memory(char* mapped) {
  for (std::size_t before = kPages + 1;;) {
    unsigned char resident[kPages];
    REQUIRE(::mincore(mapped, kPages * cr::kPage, resident) == 0);
    const auto now = static_cast<std::size_t>(
        std::ranges::count_if(resident, [](unsigned char page) { return (page & 1) != 0; }));
    if (now == before) return now;
    before = now;
    ::usleep(5000);
  }
}

// How many pages of the uncached file are in memory after a walk over its first `read_pages`.
std::size_t cached_after_reading(int fd, std::size_t read_pages) {
  char* mapped = cr::map(kPages * cr::kPage, PROT_READ, MAP_SHARED, fd);
  for (int tries = 0; tries == 0 || in_memory(mapped) != 0; tries++) {
    if (tries == 100)
      cr::skip("machine: a file system that reads ahead");  // in memory is where a tmpfs has them
    REQUIRE(::fsync(fd) == 0 && ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
  }
  char page[cr::kPage];
  for (std::size_t i = 0; i < read_pages; ++i)
    CHECK_EQ(::pread(fd, page, cr::kPage, static_cast<off_t>(i * cr::kPage)),
             static_cast<ssize_t>(cr::kPage));
  const std::size_t count = in_memory(mapped);
  ::munmap(mapped, kPages * cr::kPage);
  return count;
}

}  // namespace

void cr::test() {
  // Where no device is behind the files nothing is read ahead.
  ::close(make_file("data", std::string(kPages * kPage, 'd')));
  const auto open = [] { return ::open((directory() + "/data").c_str(), O_RDONLY); };
  const int random = open(), normal = open(), sequential = open(), both = open();
  REQUIRE(::posix_fadvise(random, 0, 0, POSIX_FADV_RANDOM) == 0);
  REQUIRE(::posix_fadvise(sequential, 0, 0, POSIX_FADV_SEQUENTIAL) == 0);
  REQUIRE(::posix_fadvise(both, 0, 0, POSIX_FADV_RANDOM) == 0);
  REQUIRE(::posix_fadvise(both, 0, 0, POSIX_FADV_NOREUSE) == 0);
  const std::size_t few = cached_after_reading(random, 1), some = cached_after_reading(normal, 1);
  const std::size_t walked = cached_after_reading(normal, 128), far = cached_after_reading(sequential, 128);
  if (few >= some || walked >= far) skip("machine: a file system that reads ahead");
  const int hinted = make_file("hinted"), ghost = make_file("ghost", "x");
  std::uint64_t life = RWH_WRITE_LIFE_LONG, brief = RWH_WRITE_LIFE_SHORT;
  REQUIRE(::fcntl(hinted, F_SET_RW_HINT, &life) == 0 && ::fcntl(ghost, F_SET_RW_HINT, &brief) == 0);
  REQUIRE(::unlink((directory() + "/ghost").c_str()) == 0);
  checkpoint_here();
  // How far exactly is the device's matter, and that of the moment; the order is that of the advice.
  const std::size_t some_after = cached_after_reading(normal, 1);
  CHECK(cached_after_reading(random, 1) < some_after);
  CHECK(cached_after_reading(both, 1) < some_after);
  CHECK(cached_after_reading(normal, 128) < cached_after_reading(sequential, 128));
  life = brief = 0;
  CHECK(::fcntl(hinted, F_GET_RW_HINT, &life) == 0 && ::fcntl(ghost, F_GET_RW_HINT, &brief) == 0);
  CHECK_EQ(life, static_cast<std::uint64_t>(RWH_WRITE_LIFE_LONG));
  CHECK_EQ(brief, static_cast<std::uint64_t>(RWH_WRITE_LIFE_SHORT));
}
