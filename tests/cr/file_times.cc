// SPDX-License-Identifier: Apache-2.0
// Neither dump nor restore changes the times of files that are open, mapped, executed or deleted, nor of the
// directories that they are in.
#include <map>

#include "harness/cr_memory.h"

void cr::test() {
  const auto path = [](const char* name) { return directory() + "/" + name; };
  REQUIRE(::mkdir(path("dir").c_str(), 0755) == 0);
  const int written = make_file("dir/written", "abc");
  const int mapped_fd = make_file("dir/mapped", std::string(2 * kPage, 'm'));
  const char* mapped = map(2 * kPage, PROT_READ, MAP_PRIVATE, mapped_fd);
  const int deleted = make_file("dir/deleted", "deleted"), linked = make_file("dir/linked", "linked");
  const int listed = ::open(path("dir").c_str(), O_RDONLY | O_DIRECTORY);
  REQUIRE(mapped[0] == 'm');
  REQUIRE(::link(path("dir/linked").c_str(), path("dir/other").c_str()) == 0);
  REQUIRE(::unlink(path("dir/linked").c_str()) == 0 && ::unlink(path("dir/deleted").c_str()) == 0);
  const std::map<int, time_t> wanted = {{written, 1}, {mapped_fd, 2}, {deleted, 3}, {linked, 4}, {listed, 5}};
  for (const auto& [fd, time] : wanted) {
    // An access time that is younger than the other: reading changes only those that are not (relatime).
    const timespec times[2] = {{1'200'000'000 + time, 1}, {1'100'000'000 + time, 2}};
    REQUIRE(::futimens(fd, times) == 0);
  }
  checkpoint_here();
  for (const auto& [fd, time] : wanted) {
    struct stat st{};
    REQUIRE(::fstat(fd, &st) == 0);
    CHECK(st.st_mtim.tv_sec == 1'100'000'000 + time && st.st_mtim.tv_nsec == 2);
    // The mapping's is the kernel's to change: it counts as a reading, once a day.
    if (fd != mapped_fd) CHECK(st.st_atim.tv_sec == 1'200'000'000 + time && st.st_atim.tv_nsec == 1);
  }
}

cr::Options cr::options() {
  return {.dump_args = {"--link-remap"}, .ignore = {"*/fd/*/link"}};
}
