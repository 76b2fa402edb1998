// SPDX-License-Identifier: Apache-2.0
// Descriptor numbers: all low ones taken, gaps, very high ones, standard streams closed; with duplicates that
// cross each other, so that no order of making them is right by itself.
#include <sys/resource.h>

#include "harness/cr_memory.h"

void cr::test() {
  rlimit limit{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
  limit.rlim_cur = limit.rlim_max < 60'000 ? limit.rlim_max : 60'000;
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
  const int top = static_cast<int>(limit.rlim_cur) - 1;
  for (int i = 0; i < 40; ++i) REQUIRE(make_file("f" + std::to_string(i), std::to_string(i)) == 3 + i);
  Child crossed([] {
    // 3..42 in reverse order.
    for (int i = 0; i < 20; ++i) {
      const int spare = ::fcntl(3 + i, F_DUPFD, 100);
      REQUIRE(::dup2(42 - i, 3 + i) >= 0 && ::dup2(spare, 42 - i) >= 0);
      ::close(spare);
    }
    ::close(0);
    wait_released();
    for (int i = 0; i < 40; ++i) {
      char text[8] = {};
      CHECK(::pread(3 + i, text, 8, 0) > 0);
      CHECK_EQ(std::string(text), std::to_string(39 - i));
    }
    CHECK(::fcntl(0, F_GETFD) < 0);
  });
  for (int i = 0; i < 40; i += 4) ::close(3 + i);
  REQUIRE(::dup2(4, top) == top && ::dup2(5, 777) == 777);
  ::close(0);
  await_waiting(1);
  checkpoint_here();
  for (int i = 0; i < 40; ++i) CHECK_EQ(::fcntl(3 + i, F_GETFD), i % 4 == 0 ? -1 : 0);
  CHECK_EQ(::dup(4), 0);  // the lowest free number
  CHECK_EQ(::dup(4), 3);
  char text[8] = {};
  CHECK(::pread(top, text, 8, 0) == 1 && text[0] == '1');
  CHECK(::pread(777, text, 8, 0) == 1 && text[0] == '2');
  crossed.join();
}
