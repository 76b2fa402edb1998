// SPDX-License-Identifier: Apache-2.0
// Pages that a parent and its children still share since fork are one page in memory afterwards too (the same
// frame), those that one of them wrote to are two, and writing to a shared one parts them.
#include "harness/cr_memory.h"

namespace {

constexpr int kPages = 64;

// Frames of the area's pages, 0 where none is present.
std::vector<std::uint64_t> frames(const char* area) {
  std::vector<std::uint64_t> out;
  for (int i = 0; i < kPages; ++i) {
    const std::uint64_t entry = cr::pagemap_entry(area + i * cr::kPage);
    out.push_back((entry & cr::kPagePresent) != 0 ? entry & cr::kPageFrame : 0);
  }
  return out;
}

}  // namespace

void cr::test() {
  char* area = map(kPages * kPage);
  REQUIRE(::madvise(area, kPages * kPage, MADV_NOHUGEPAGE) == 0);
  for (int i = 0; i < kPages; ++i) fill(area + i * kPage, i);
  int pipes[2][2];
  REQUIRE(::pipe(pipes[0]) == 0 && ::pipe(pipes[1]) == 0);
  auto body = [&](int which) {
    for (int i = which; i < kPages; i += 8) fill(area + i * kPage, 1000 * (which + 1) + i);
    wait_released();
    for (int i = 0; i < kPages; ++i)
      CHECK(filled(area + i * kPage, i % 8 == which ? 1000 * (which + 1) + i : i));
    const std::vector<std::uint64_t> own = frames(area);
    REQUIRE(::write(pipes[which][1], own.data(), kPages * 8) == kPages * 8);
  };
  Child first([&] { body(0); }), second([&] { body(1); });
  await_waiting(2);
  checkpoint_here();
  for (int i = 0; i < kPages; ++i) CHECK(filled(area + i * kPage, i));
  const std::vector<std::uint64_t> own = frames(area);
  for (int which = 0; which < 2; ++which) {
    std::vector<std::uint64_t> theirs(kPages);
    REQUIRE(::read(pipes[which][0], theirs.data(), kPages * 8) == kPages * 8);
    for (int i = 0; i < kPages; ++i) {
      CHECK(own[i] != 0 && theirs[i] != 0);
      CHECK_EQ(theirs[i] == own[i], i % 8 != which);
    }
  }
  first.join();
  second.join();
  Child third([&] { fill(area, 77); });
  third.join();
  CHECK(filled(area, 0));
}
