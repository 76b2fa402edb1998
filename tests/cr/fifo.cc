// SPDX-License-Identifier: Apache-2.0
// Named FIFOs: data inside, ends in different processes, opened for both, opened twice, and one whose name is
// gone.
#include "harness/cr_memory.h"

void cr::test() {
  const std::string shared = directory() + "/shared", alone = directory() + "/alone",
                    gone = directory() + "/gone";
  for (const std::string& path : {shared, alone, gone}) REQUIRE(::mkfifo(path.c_str(), 0644) == 0);
  Child writer([&] {
    const int fd = ::open(shared.c_str(), O_WRONLY);
    REQUIRE(fd >= 0 && ::write(fd, "before ", 7) == 7);
    wait_released();
    CHECK_EQ(::write(fd, "after", 5), 5);
  });
  const int reader = ::open(shared.c_str(), O_RDONLY);
  const int second = ::open(shared.c_str(), O_RDONLY | O_NONBLOCK);
  const int both = ::open(alone.c_str(), O_RDWR);
  const int nameless = ::open(gone.c_str(), O_RDWR);
  REQUIRE(reader >= 0 && second >= 0 && both >= 0 && nameless >= 0);
  REQUIRE(::write(both, "alone", 5) == 5 && ::write(nameless, "nameless", 8) == 8);
  REQUIRE(::unlink(gone.c_str()) == 0);
  await_waiting(1);
  checkpoint_here();
  CHECK_EQ(read_all(reader), "before after");  // ends when the writer is gone
  writer.join();
  char buffer[16] = {};
  CHECK_EQ(::read(second, buffer, 16), 0);
  CHECK_EQ(::read(both, buffer, 16), 5);
  CHECK_EQ(std::string(buffer), "alone");
  CHECK_EQ(::read(nameless, buffer, 16), 8);
  CHECK_EQ(std::string(buffer), "nameless");
  const int joined = ::open(alone.c_str(), O_WRONLY | O_NONBLOCK);
  CHECK_EQ(::write(joined, "x", 1), 1);
  CHECK_EQ(::read(both, buffer, 1), 1);
}
