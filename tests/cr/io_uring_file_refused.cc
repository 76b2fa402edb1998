// SPDX-License-Identifier: Apache-2.0
// A registered file whose descriptor is closed cannot be found again.
#include "harness/cr_memory.h"
#include "harness/cr_uring.h"

void cr::test() {
  Uring ring(8);
  const int fd = make_file("data", "0123456789");
  REQUIRE(ring.do_register(IORING_REGISTER_FILES, &fd, 1) == 0);
  ::close(fd);

  checkpoint_here();

  char buffer[4] = {};
  io_uring_sqe& entry = ring.prepare(IORING_OP_READ, 1);
  entry.flags = IOSQE_FIXED_FILE;
  entry.addr = reinterpret_cast<std::uint64_t>(buffer);
  entry.len = 4;
  CHECK_EQ(ring.submit(), 1);
  CHECK_EQ(ring.take()->res, 4);
}

cr::Options cr::options() {
  return {.refused = "a file is registered with it that no descriptor of the tree leads to"};
}
