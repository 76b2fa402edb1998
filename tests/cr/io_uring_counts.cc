// SPDX-License-Identifier: Apache-2.0
// Submissions and completions are counted apart: more completions (requests that complete several times),
// fewer (those that leave them out), more of both than fit into a ring, and counts that have wrapped.
#include <sys/socket.h>

#include "harness/cr_memory.h"
#include "harness/cr_uring.h"

namespace {

// Completions that another ring sends are counted as those of a request that completes more than once.
void send_completions(cr::Uring& from, const cr::Uring& to, unsigned count) {
  constexpr unsigned kOpMsgRing = 40;
  for (unsigned i = 0; i < count; i++) {
    io_uring_sqe& entry = from.prepare(kOpMsgRing, i);
    entry.fd = to.fd();
    entry.len = 1;
    entry.off = 9000 + i;
    REQUIRE(from.submit() == 1 && from.take()->res == 0);
  }
}

void leave_out(cr::Uring& ring, unsigned count) {
  for (unsigned i = 0; i < count; i++) ring.prepare(IORING_OP_NOP, i).flags = cr::kUringSkipCompletion;
  ring.publish();
  REQUIRE(ring.enter(count, 0, 0) == static_cast<long>(count));
}

}  // namespace

void cr::test() {
  Uring sender(4);
  Uring more(8);
  more.go_round(10);
  send_completions(sender, more, 13);
  for (int i = 0; i < 11; i++) REQUIRE(more.take());
  Uring deferred(4, kUringSingleIssuer | kUringDeferTaskrun);
  deferred.go_round(3);
  for (int i = 0; i < 70; i++) {
    send_completions(sender, deferred, 1);
    REQUIRE(deferred.enter(0, 1) == 0 && deferred.take());
  }

  Uring fewer(8);
  fewer.go_round(4);
  leave_out(fewer, 8);
  leave_out(fewer, 3);
  Uring fewer_later(4, kUringSingleIssuer);
  leave_out(fewer_later, 1);
  send_completions(sender, fewer_later, 5);
  for (int i = 0; i < 5; i++) REQUIRE(fewer_later.take());

  Uring large(1024);
  for (int round = 0; round < 100; round++) {
    for (unsigned i = 0; i < 1000; i++) large.prepare(IORING_OP_NOP, i);
    REQUIRE(large.submit() == 1000);
    for (unsigned i = 0; i < 1000; i++) REQUIRE(large.take());
  }

  checkpoint_here();

  for (unsigned i = 11; i < 13; i++) CHECK_EQ(more.take()->user_data, 9000u + i);
  more.check_works(10, 23);
  // What waits for all before it knows how many there are.
  io_uring_sqe& last = more.prepare(IORING_OP_NOP, 77);
  last.flags = IOSQE_IO_DRAIN;
  CHECK_EQ(more.submit(), 1);
  CHECK_EQ(more.take()->user_data, 77u);
  deferred.check_works(3, 73);
  fewer.check_works(15, 4);
  fewer_later.check_works(1, 5);
  for (Uring* ring : {&fewer, &fewer_later}) {
    ring->prepare(IORING_OP_NOP, 78).flags = IOSQE_IO_DRAIN;
    ring->submit();
    CHECK_EQ(ring->take()->res, -EOPNOTSUPP);
  }
  large.check_works(100'000, 100'000);
}
