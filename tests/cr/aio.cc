// SPDX-License-Identifier: Apache-2.0
// AIO rings keep their ids, the events that nobody took yet, and go on working; also when the ring has
// wrapped around.
#include <linux/aio_abi.h>

#include "harness/cr_memory.h"

namespace {

struct Ring {
  aio_context_t id = 0;

  explicit Ring(unsigned requests) {
    if (::syscall(SYS_io_setup, requests, &id) != 0) cr::skip("aio");
  }
  // Reads `len` bytes at `offset`.
  int submit(int fd, char* buffer, std::uint64_t cookie, std::uint64_t len = 4,
             std::int64_t offset = 0) const {
    iocb request{};
    request.aio_data = cookie;
    request.aio_lio_opcode = IOCB_CMD_PREAD;
    request.aio_fildes = static_cast<std::uint32_t>(fd);
    request.aio_buf = reinterpret_cast<std::uint64_t>(buffer);
    request.aio_nbytes = len;
    request.aio_offset = offset;
    iocb* list[] = {&request};
    return static_cast<int>(::syscall(SYS_io_submit, id, 1, list));
  }
  int take(io_event* events, long most) const {
    timespec none{};
    return static_cast<int>(::syscall(SYS_io_getevents, id, 0, most, events, &none));
  }
  const std::uint32_t* header() const { return reinterpret_cast<const std::uint32_t*>(id); }
};

}  // namespace

void cr::test() {
  const int fd = make_file("data", "0123456789abcdef");
  char buffer[16] = {};
  io_event events[256];

  const Ring few(64);
  for (std::uint64_t i = 0; i < 5; i++) REQUIRE(few.submit(fd, buffer, 100 + i, i + 1, 1) == 1);
  REQUIRE(few.take(events, 2) == 2 && events[1].data == 101);

  const Ring wrapped(8);
  const std::uint32_t slots = wrapped.header()[1];
  for (std::uint32_t i = 0; i < slots - 3; i++)
    REQUIRE(wrapped.submit(fd, buffer, i) == 1 && wrapped.take(events, 1) == 1);
  for (std::uint64_t i = 0; i < 6; i++) REQUIRE(wrapped.submit(fd, buffer, 1000 + i, 16, 4) == 1);
  REQUIRE(wrapped.header()[3] < wrapped.header()[2]);  // tail and head

  const Ring unused(1000);
  const Ring emptied(4);
  REQUIRE(emptied.submit(fd, buffer, 1) == 1 && emptied.take(events, 1) == 1);
  {
    Ring gone(4);
    REQUIRE(::syscall(SYS_io_destroy, gone.id) == 0);
  }

  checkpoint_here();

  CHECK_EQ(few.take(events, 10), 3);
  for (std::uint64_t i = 0; i < 3; i++) {
    CHECK_EQ(events[i].data, 102 + i);
    CHECK_EQ(events[i].res, static_cast<std::int64_t>(i + 3));
  }
  CHECK_EQ(wrapped.header()[1], slots);
  CHECK_EQ(wrapped.take(events, 10), 6);
  for (std::uint64_t i = 0; i < 6; i++) {
    CHECK_EQ(events[i].data, 1000 + i);
    CHECK_EQ(events[i].res, 12);
  }
  // All of them work, and have room for as many requests as were asked for.
  for (const Ring* ring : {&few, &wrapped, &unused, &emptied}) {
    CHECK_EQ(ring->take(events, 10), 0);
    for (int round = 0; round < 100; round++) {
      for (std::uint64_t i = 0; i < 4; i++) CHECK_EQ(ring->submit(fd, buffer, i), 1);
      CHECK_EQ(ring->take(events, 10), 4);
      CHECK_EQ(events[3].data, 3u);
    }
  }
  CHECK_EQ(std::string(buffer, 4), std::string("0123"));
  for (const Ring* ring : {&few, &wrapped, &unused, &emptied})
    CHECK_EQ(::syscall(SYS_io_destroy, ring->id), 0);
}
