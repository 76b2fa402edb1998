// SPDX-License-Identifier: Apache-2.0
// A ring that two processes have is one ring again, mapped in both, also by who closed its descriptor; and a
// ring is in its place in a process full of other mappings.
#include <poll.h>
#include <sys/epoll.h>

#include "harness/cr_memory.h"
#include "harness/cr_uring.h"

void cr::test() {
  Uring ring(8);
  ring.go_round(5);
  // Gaps of one page and more, below and above.
  auto* holes = static_cast<char*>(
      ::mmap(nullptr, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  for (int i = 1; i < 64; i += 3) ::munmap(holes + i * 4096, 4096);
  Uring below(4);
  REQUIRE(::madvise(below.rings(), below.rings_bytes(), MADV_DONTFORK) == 0);
  below.go_round(6);

  const int epoll = ::epoll_create1(0);
  epoll_event event{EPOLLIN, {.u64 = 9}};
  REQUIRE(::epoll_ctl(epoll, EPOLL_CTL_ADD, ring.fd(), &event) == 0);

  Child child([&] {
    ::close(below.fd());
    wait_released();
    while (ring.cq_tail() != 6) ::usleep(1000);
    auto seen = ring.take();
    CHECK(seen && seen->user_data == 88);
    ring.catch_up();
    ring.go_round(20);
  });
  await_waiting(1);

  checkpoint_here();

  CHECK_EQ(::epoll_wait(epoll, &event, 1, 0), 0);
  ring.prepare(IORING_OP_NOP, 88);
  ring.publish();
  CHECK_EQ(ring.enter(1, 0, 0), 1);
  child.join();
  CHECK_EQ(ring.sq_head(), 26u);
  CHECK_EQ(ring.cq_head(), 26u);
  below.check_works(6, 6);
  Child forked([&] { CHECK(::mprotect(below.rings(), 4096, PROT_READ) == -1 && errno == ENOMEM); });
  forked.join();
}
