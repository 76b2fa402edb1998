// SPDX-License-Identifier: Apache-2.0
// A ring that is reached by its registered number only, its descriptor closed: nobody could hand it over.
#include "harness/cr_memory.h"
#include "harness/cr_uring.h"

namespace {
constexpr unsigned kRegisterRingFds = 20, kEnterRegisteredRing = 1 << 4;
}

void cr::test() {
  Uring ring(8);
  ring.go_round(3);
  io_uring_rsrc_update slot{};
  slot.offset = 2;
  slot.data = static_cast<__u64>(ring.fd());
  REQUIRE(ring.do_register(kRegisterRingFds, &slot, 1) == 1);
  ::close(ring.fd());

  checkpoint_here();

  ring.prepare(IORING_OP_NOP, 44);
  ring.publish();
  CHECK_EQ(ring.enter(1, 1, IORING_ENTER_GETEVENTS | kEnterRegisteredRing, 2), 1);
  CHECK_EQ(ring.take()->user_data, 44u);
}

cr::Options cr::options() {
  return {.refused = "no process has a descriptor of it"};
}
