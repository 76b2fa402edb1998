// SPDX-License-Identifier: Apache-2.0
// A poll request may wait for ever: no ring can be made again with it.
#include <linux/aio_abi.h>
#include <poll.h>

#include "harness/cr_test.h"

void cr::test() {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  aio_context_t ring = 0;
  if (::syscall(SYS_io_setup, 4, &ring) != 0) skip("aio");
  iocb request{};
  request.aio_data = 7;
  request.aio_lio_opcode = IOCB_CMD_POLL;
  request.aio_fildes = static_cast<std::uint32_t>(ends[0]);
  request.aio_buf = POLLIN;
  iocb* list[] = {&request};
  REQUIRE(::syscall(SYS_io_submit, ring, 1, list) == 1);
  checkpoint_here();
  REQUIRE(::write(ends[1], "x", 1) == 1);
  io_event event{};
  CHECK(::syscall(SYS_io_getevents, ring, 1, 1, &event, nullptr) == 1 && event.data == 7);
}

cr::Options cr::options() {
  return {.refused = "1 poll requests (IOCB_CMD_POLL) are waiting in it"};
}
