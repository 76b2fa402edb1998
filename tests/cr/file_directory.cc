// SPDX-License-Identifier: Apache-2.0
// A directory that is being read: what was listed before and what is listed after make all entries, each
// once.
#include <dirent.h>

#include <map>

#include "harness/cr_memory.h"

namespace {

// Up to `most` entries (in whole buffers of the kernel) into `seen`.
void list(int fd, std::map<std::string, int>& seen, std::size_t most) {
  alignas(8) char buffer[512];
  while (seen.size() < most) {
    const long n = ::syscall(SYS_getdents64, fd, buffer, sizeof(buffer));
    REQUIRE(n >= 0);
    if (n == 0) return;
    for (long at = 0; at < n;) {
      const auto* entry = reinterpret_cast<const dirent64*>(buffer + at);
      ++seen[entry->d_name];
      at += entry->d_reclen;
    }
  }
}

}  // namespace

void cr::test() {
  const std::string path = directory() + "/listed";
  REQUIRE(::mkdir(path.c_str(), 0755) == 0);
  for (int i = 0; i < 200; ++i) ::close(make_file("listed/entry-" + std::to_string(i)));
  const int fd = ::open(path.c_str(), O_RDONLY | O_DIRECTORY);
  const int fresh = ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  std::map<std::string, int> seen;
  list(fd, seen, 80);
  REQUIRE(seen.size() < 150);
  checkpoint_here();
  list(fd, seen, 10'000);
  CHECK_EQ(seen.size(), 202U);
  for (const auto& [name, count] : seen) CHECK_EQ(count, 1);
  std::map<std::string, int> all;
  list(fresh, all, 10'000);
  CHECK_EQ(all.size(), 202U);
  const int inside = ::openat(fd, "entry-7", O_RDONLY);
  CHECK(inside >= 0);
}
