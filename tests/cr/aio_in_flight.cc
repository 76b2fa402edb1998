// SPDX-License-Identifier: Apache-2.0
// Requests that are still on their way to the disk when the tree is stopped are waited for, and none is lost.
#include <linux/aio_abi.h>

#include "harness/cr_memory.h"

void cr::test() {
  constexpr int kRequests = 32;
  constexpr std::size_t kBytes = 1 << 20;
  const int fd = ::open((directory() + "/data").c_str(), O_RDWR | O_CREAT | O_DIRECT, 0600);
  if (fd < 0 && errno == EINVAL) skip("machine: a file system that takes O_DIRECT");
  REQUIRE(fd >= 0);
  char* memory = map(kBytes);
  std::memset(memory, 'a', kBytes);
  aio_context_t ring = 0;
  if (::syscall(SYS_io_setup, 64, &ring) != 0) skip("aio");
  iocb requests[kRequests] = {};
  iocb* list[kRequests];
  for (int i = 0; i < kRequests; i++) {
    requests[i].aio_data = static_cast<std::uint64_t>(i);
    requests[i].aio_lio_opcode = i % 2 ? IOCB_CMD_PWRITE : IOCB_CMD_FSYNC;
    requests[i].aio_fildes = static_cast<std::uint32_t>(fd);
    if (i % 2) {
      requests[i].aio_buf = reinterpret_cast<std::uint64_t>(memory);
      requests[i].aio_nbytes = kBytes;
      requests[i].aio_offset = static_cast<std::int64_t>(kBytes) * i;
    }
    list[i] = &requests[i];
  }
  REQUIRE(::syscall(SYS_io_submit, ring, kRequests, list) == kRequests);

  checkpoint_here();

  io_event events[kRequests];
  REQUIRE(::syscall(SYS_io_getevents, ring, kRequests, kRequests, events, nullptr) == kRequests);
  std::uint64_t seen = 0;
  for (const io_event& event : events) {
    seen |= std::uint64_t{1} << event.data;
    CHECK_EQ(event.res, event.data % 2 ? static_cast<std::int64_t>(kBytes) : 0);
  }
  CHECK_EQ(seen, 0xffffffffULL);
}
