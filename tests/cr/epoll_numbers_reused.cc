// SPDX-License-Identifier: Apache-2.0
// ctest-timeout: 180
// 50,000 targets, more than there are descriptors: the numbers under which they were added are others' by
// now.
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "harness/cr_memory.h"

void cr::test() {
  constexpr int kFiles = 100, kNumbers = 500, kFirst = 300;
  constexpr std::size_t kTargets = std::size_t{kFiles} * kNumbers;
  const int epoll = ::epoll_create1(0);
  std::vector<int> files;
  for (int i = 0; i < kFiles; ++i) files.push_back(::eventfd(static_cast<unsigned>(i % 2), EFD_NONBLOCK));
  for (std::size_t i = 0; i < kTargets; ++i) {
    const int number = kFirst + static_cast<int>(i % kNumbers);
    REQUIRE(::dup2(files[i / kNumbers], number) == number);
    epoll_event event{EPOLLIN, {.u64 = i << 20}};
    REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_ADD, number, &event) == 0);
  }
  checkpoint_here();
  // Every second file has something to read.
  const auto ready = [&] {
    std::vector<epoll_event> events(kTargets);
    const int count = ::epoll_wait(epoll, events.data(), static_cast<int>(events.size()), 0);
    std::vector<bool> seen(kTargets);
    for (int k = 0; k < count; ++k) {
      const std::uint64_t i = events[static_cast<std::size_t>(k)].data.u64 >> 20;
      REQUIRE(i < kTargets && !seen[i]);
      seen[i] = true;
      if (i / kNumbers % 2 != 1) return -1;
    }
    return count;
  };
  CHECK_EQ(ready(), static_cast<int>(kTargets / 2));
  // Those of the last file still go by their numbers.
  for (int number = kFirst; number < kFirst + kNumbers; ++number)
    REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_DEL, number, nullptr) == 0);
  CHECK_EQ(ready(), static_cast<int>(kTargets / 2) - kNumbers);
  REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_DEL, kFirst, nullptr) != 0 && errno == ENOENT);
}
