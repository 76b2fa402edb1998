// SPDX-License-Identifier: Apache-2.0
// Whoever waits in a read of an empty eventfd or in a write to a full one goes on when there is something, or
// room, and sees no EINTR.
#include <sys/eventfd.h>

#include "harness/cr_test.h"

void cr::test() {
  constexpr std::uint64_t kLargest = UINT64_MAX - 1;
  const int empty = ::eventfd(0, 0), full = ::eventfd(0, 0);
  REQUIRE(empty >= 0 && full >= 0);
  REQUIRE(::write(full, &kLargest, sizeof(kLargest)) == sizeof(kLargest));
  Child reader([&] {
    std::uint64_t value = 0;
    CHECK_EQ(::read(empty, &value, sizeof(value)), 8);
    CHECK_EQ(value, 11U);
  });
  Child writer([&] {
    const std::uint64_t value = 2;
    CHECK_EQ(::write(full, &value, sizeof(value)), 8);
  });
  wait_in_syscall(reader.pid(), SYS_read);
  wait_in_syscall(writer.pid(), SYS_write);
  checkpoint_here();
  std::uint64_t value = 11;
  CHECK_EQ(::write(empty, &value, sizeof(value)), 8);
  reader.join();
  CHECK_EQ(::read(full, &value, sizeof(value)), 8);
  CHECK_EQ(value, kLargest);
  writer.join();
  CHECK_EQ(::read(full, &value, sizeof(value)), 8);
  CHECK_EQ(value, 2U);
}
