// SPDX-License-Identifier: Apache-2.0
// More targets than one reading of the collector holds, by one number each and by many instances.
#include <sys/epoll.h>
#include <sys/resource.h>

#include "harness/cr_memory.h"

void cr::test() {
  rlimit limit;
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  constexpr int kTargets = 3000, kInstances = 150;
  const int epoll = ::epoll_create1(0);
  int ends[2];
  REQUIRE(::pipe2(ends, O_NONBLOCK) == 0);
  REQUIRE(::write(ends[1], "x", 1) == 1);
  for (int i = 0; i < kTargets; ++i) {
    const int fd = ::fcntl(ends[i % 2], F_DUPFD_CLOEXEC, 0);  // one description, another key
    epoll_event event{i % 2 == 0 ? EPOLLIN : EPOLLOUT, {.u64 = static_cast<std::uint64_t>(i) << 33}};
    REQUIRE(fd >= 0 && ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
  }
  std::vector<int> instances;
  for (int i = 0; i < kInstances; ++i) {
    instances.push_back(::epoll_create1(0));
    epoll_event event{EPOLLIN, {.u64 = static_cast<std::uint64_t>(i)}};
    REQUIRE(::epoll_ctl(instances.back(), EPOLL_CTL_ADD, ends[0], &event) == 0);
  }
  checkpoint_here();
  std::vector<epoll_event> events(kTargets);
  CHECK_EQ(::epoll_wait(epoll, events.data(), kTargets, 0), kTargets);
  std::vector<bool> seen(kTargets);
  for (const epoll_event& event : events) {
    const std::uint64_t i = event.data.u64 >> 33;
    REQUIRE(i < kTargets && !seen[i]);
    seen[i] = true;
    CHECK_EQ(event.events, i % 2 == 0 ? EPOLLIN : EPOLLOUT);
  }
  for (int i = 0; i < kInstances; ++i) {
    epoll_event event{};
    CHECK_EQ(::epoll_wait(instances[i], &event, 1, 0), 1);
    CHECK_EQ(event.data.u64, static_cast<std::uint64_t>(i));
  }
}
