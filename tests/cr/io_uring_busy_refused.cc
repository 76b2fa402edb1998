// SPDX-License-Identifier: Apache-2.0
// Requests in flight are refused before anything is stopped, with what they are; the ring goes on working.
#include <poll.h>

#include "harness/cr_memory.h"
#include "harness/cr_uring.h"

void cr::test() {
  Uring ring(8);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  for (std::uint64_t i = 0; i < 2; i++) {
    io_uring_sqe& entry = ring.prepare(IORING_OP_POLL_ADD, 50 + i);
    entry.fd = ends[0];
    entry.poll32_events = POLLIN;
  }
  __kernel_timespec later{1000, 0};
  io_uring_sqe& entry = ring.prepare(IORING_OP_TIMEOUT, 60);
  entry.addr = reinterpret_cast<std::uint64_t>(&later);
  entry.len = 1;
  ring.publish();
  REQUIRE(ring.enter(3, 0, 0) == 3);

  checkpoint_here();

  CHECK_EQ(::write(ends[1], "x", 1), 1);
  CHECK_EQ(ring.enter(0, 2), 0);
  CHECK_EQ(ring.take()->res, POLLIN);
  CHECK_EQ(ring.take()->res, POLLIN);
  CHECK(!ring.take());
}

cr::Options cr::options() {
  return {.refused = "3 requests are in flight: 2 POLL_ADD, 1 TIMEOUT"};
}
