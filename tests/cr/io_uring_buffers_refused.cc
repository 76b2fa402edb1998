// SPDX-License-Identifier: Apache-2.0
// Buffers that wait to be chosen (IORING_OP_PROVIDE_BUFFERS) are refused, and stay where they are.
#include "harness/cr_memory.h"
#include "harness/cr_uring.h"

void cr::test() {
  Uring ring(8);
  const int fd = make_file("data", "0123456789");
  char buffers[2][4] = {};
  io_uring_sqe& provide = ring.prepare(IORING_OP_PROVIDE_BUFFERS, 1);
  provide.fd = 2;  // of them
  provide.addr = reinterpret_cast<std::uint64_t>(buffers);
  provide.len = sizeof buffers[0];
  provide.buf_group = 5;
  REQUIRE(ring.submit() == 1);
  REQUIRE(ring.take()->res >= 0);

  checkpoint_here();

  io_uring_sqe& entry = ring.prepare(IORING_OP_READ, 2);
  entry.fd = fd;
  entry.flags = IOSQE_BUFFER_SELECT;
  entry.buf_group = 5;
  entry.len = 4;
  CHECK_EQ(ring.submit(), 1);
  auto read = ring.take();
  REQUIRE(read && read->res == 4 && (read->flags & IORING_CQE_F_BUFFER));
  CHECK_EQ(std::string(buffers[read->flags >> IORING_CQE_BUFFER_SHIFT], 4), std::string("0123"));
}

cr::Options cr::options() {
  return {.refused = "it has buffers to choose from"};
}
