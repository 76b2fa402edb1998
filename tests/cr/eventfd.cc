// SPDX-License-Identifier: Apache-2.0
// Eventfds: every counter from 0 to the largest, semaphores, blocking or not, and one shared with a child.
#include <poll.h>
#include <sys/eventfd.h>

#include "harness/cr_memory.h"

namespace {

constexpr std::uint64_t kLargest = UINT64_MAX - 1;

int make(std::uint64_t count, int flags) {
  const int fd = ::eventfd(0, flags);
  REQUIRE(fd >= 0);
  if (count != 0) REQUIRE(::write(fd, &count, sizeof(count)) == sizeof(count));
  return fd;
}

short events(int fd) {
  pollfd poll{fd, POLLIN | POLLOUT, 0};
  REQUIRE(::poll(&poll, 1, 0) >= 0);
  return poll.revents;
}

std::uint64_t take(int fd) {
  std::uint64_t value = 0;
  CHECK_EQ(::read(fd, &value, sizeof(value)), static_cast<ssize_t>(sizeof(value)));
  return value;
}

bool would_block(ssize_t result) {
  return result < 0 && errno == EAGAIN;
}

}  // namespace

void cr::test() {
  const int zero = make(0, EFD_NONBLOCK), few = make(7, EFD_CLOEXEC), full = make(kLargest, EFD_NONBLOCK);
  const int tickets = make(3, EFD_SEMAPHORE | EFD_NONBLOCK), wide = make(1ULL << 32, 0);
  const int shared = make(5, 0), twin = ::dup(shared);
  const int changed = make(0, EFD_NONBLOCK);
  REQUIRE(::fcntl(changed, F_SETFL, O_APPEND) == 0);
  int answer[2];
  REQUIRE(::pipe(answer) == 0);
  Child child([&] {
    wait_released();
    std::uint64_t value = take(shared);  // nobody takes it before
    CHECK_EQ(::write(answer[1], &value, sizeof(value)), 8);
  });
  await_waiting(1);
  checkpoint_here();
  std::uint64_t value = 1;
  CHECK_EQ(events(zero), POLLOUT);
  CHECK(would_block(::read(zero, &value, sizeof(value))));
  CHECK_EQ(events(full), POLLIN);
  CHECK(would_block(::write(full, &value, sizeof(value))));
  CHECK_EQ(take(full), kLargest);
  CHECK_EQ(take(few), 7U);
  CHECK_EQ(take(wide), 1ULL << 32);
  for (int i = 0; i < 3; ++i) CHECK_EQ(take(tickets), 1U);
  CHECK(would_block(::read(tickets, &value, sizeof(value))));
  CHECK_EQ(::read(answer[0], &value, sizeof(value)), 8);
  CHECK_EQ(value, 5U);
  CHECK_EQ(events(twin), POLLOUT);  // the child took it all
  CHECK_EQ(::fcntl(changed, F_GETFL), O_RDWR | O_APPEND);
  child.join();
}
