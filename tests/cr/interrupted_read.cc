// SPDX-License-Identifier: Apache-2.0
// A process that blocks reading an empty pipe, and one that blocks writing to a full one, go on when the
// other side moves; no byte is lost and neither sees EINTR.
#include <fcntl.h>

#include "harness/cr_test.h"

void cr::test() {
  int empty[2], full[2];
  REQUIRE(::pipe(empty) == 0 && ::pipe(full) == 0);
  const int size = ::fcntl(full[1], F_GETPIPE_SZ);
  std::vector<char> block(size, 'a');
  REQUIRE(::write(full[1], block.data(), size) == size);
  Child reader([&] {
    char buffer[16] = {};
    CHECK_EQ(::read(empty[0], buffer, sizeof(buffer)), 5);
    CHECK_EQ(std::string(buffer), "hello");
  });
  Child writer([&] { CHECK_EQ(::write(full[1], "tail", 4), 4); });
  wait_in_syscall(reader.pid(), SYS_read);
  wait_in_syscall(writer.pid(), SYS_write);
  checkpoint_here();
  REQUIRE(::write(empty[1], "hello", 5) == 5);
  reader.join();
  std::string all;
  std::vector<char> buffer(4096);
  while (all.size() < block.size() + 4) {
    const ssize_t n = ::read(full[0], buffer.data(), buffer.size());
    REQUIRE(n > 0);
    all.append(buffer.data(), n);
  }
  writer.join();
  CHECK_EQ(all, std::string(size, 'a') + "tail");
}
