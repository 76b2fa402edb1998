// SPDX-License-Identifier: Apache-2.0
// Ten thousand locks on ranges of one file, and one on each of two hundred files.
#include "harness/cr_locks.h"

namespace {

constexpr int kRanges = 10'000, kFiles = 200;

int type_of(int i) {
  return i % 3 == 0 ? F_RDLCK : F_WRLCK;
}

}  // namespace

void cr::test() {
  const int fd = make_file("locked");
  for (int i = 0; i < kRanges; ++i) REQUIRE(lock(fd, F_SETLK, type_of(i), i * 10L, 1 + i % 9));
  std::vector<int> files;
  for (int i = 0; i < kFiles; ++i) {
    files.push_back(make_file("file" + std::to_string(i)));
    REQUIRE(lock(files.back(), F_SETLK, type_of(i), i, 1));
  }
  checkpoint_here();
  const pid_t holder = ::getpid();
  Child prober([&] {
    for (int i = 0; i < kRanges; ++i) {
      const Held expected{type_of(i), i * 10L, 1 + i % 9, holder};
      if (held(fd, F_WRLCK, i * 10L, 10) != expected) CHECK_EQ(held(fd, F_WRLCK, i * 10L, 10), expected);
    }
    CHECK(!held(fd, F_WRLCK, kRanges * 10L, 0));
    for (int i = 0; i < kFiles; ++i)
      CHECK_EQ(held(files[i], F_WRLCK, 0, 0), (Held{type_of(i), i, 1, holder}));
  });
  prober.join();
}

cr::Options cr::options() {
  return {.dump_args = {"-l"}, .restore_args = {"-l"}};
}
