// SPDX-License-Identifier: Apache-2.0
// Memory of which bpfckpt moves a share: a parent and a child that still share most of it, pages that are not
// there in between, and pages of the child's own on both sides of where the shares meet. What was shared is
// shared again.
#include <atomic>

#include "harness/cr_memory.h"

namespace {

using namespace cr;

constexpr std::uint32_t kPages = 48u << 8;  // 48 MiB

// Every 16th page is not there.
bool is_hole(std::uint32_t page) {
  return page % 16 == 15;
}

// Of the child.
bool is_own(std::uint32_t page) {
  return page % 7 == 3;
}

// Where the child has its pages, told to the parent.
struct Told {
  std::atomic<bool> complete, seen;
  std::uint64_t frames[kPages];
};

void await(const std::atomic<bool>& flag) {
  while (!flag) ::usleep(1000);
}

}  // namespace

void cr::test() {
  auto* told = reinterpret_cast<Told*>(
      map((sizeof(Told) / kPage + 1) * kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS));
  char* memory = map(kPages * kPage);
  REQUIRE(::madvise(memory, kPages * kPage, MADV_NOHUGEPAGE) == 0);
  for (std::uint32_t page = 0; page < kPages; page++)
    if (!is_hole(page)) fill(memory + page * kPage, page);
  Child child([&] {
    for (std::uint32_t page = 0; page < kPages; page++)
      if (is_own(page) && !is_hole(page)) fill(memory + page * kPage, kPages + page);
    wait_released();
    for (std::uint32_t page = 0; page < kPages; page++) {
      if (is_hole(page))
        CHECK((pagemap_entry(memory + page * kPage) & kPagePresent) == 0);
      else
        CHECK(filled(memory + page * kPage, is_own(page) ? kPages + page : page));
      told->frames[page] = pagemap_entry(memory + page * kPage) & kPageFrame;
    }
    told->complete = true;
    await(told->seen);
  });
  await_waiting(1);

  checkpoint_here();

  await(told->complete);
  for (std::uint32_t page = 0; page < kPages; page++) {
    const std::uint64_t entry = pagemap_entry(memory + page * kPage);
    if (is_hole(page)) {
      CHECK((entry & kPagePresent) == 0);
      continue;
    }
    CHECK(filled(memory + page * kPage, page));
    // Frames are 0 where we may not see them (CAP_SYS_ADMIN).
    if ((entry & kPageFrame) != 0) CHECK_EQ(told->frames[page] == (entry & kPageFrame), !is_own(page));
  }
  told->seen = true;
  child.join();
}
