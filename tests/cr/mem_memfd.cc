// SPDX-License-Identifier: Apache-2.0
// memfds: one that is only mapped, one that is open and mapped, shared and privately, with seals, across two
// processes.
#include "harness/cr_memory.h"

void cr::test() {
  const int mapped = ::memfd_create("only mapped", 0);
  REQUIRE(mapped >= 0 && ::ftruncate(mapped, 100 * kPage) == 0);
  char* area = map(100 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, mapped);
  char* window = map(10 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, mapped, 50 * kPage);
  char* copy = map(100 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE, mapped);
  fill(area + 55 * kPage, 55);
  fill(copy + 56 * kPage, 1056);
  ::close(mapped);
  const int open = ::memfd_create("open", MFD_ALLOW_SEALING | MFD_CLOEXEC);
  REQUIRE(open >= 0 && ::write(open, "content", 7) == 7 && ::ftruncate(open, 3 * kPage) == 0);
  char* shown = map(3 * kPage, PROT_READ, MAP_SHARED, open);
  REQUIRE(::fcntl(open, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
  Child child([&] {
    wait_released();
    while (window[0] != 'p') ::usleep(1000);
    CHECK(filled(window + 5 * kPage, 55));
    REQUIRE(::pwrite(open, "C", 1, 0) == 1);
  });
  await_waiting(1);
  checkpoint_here();
  CHECK(filled(area + 55 * kPage, 55) && filled(window + 5 * kPage, 55));
  CHECK(filled(copy + 55 * kPage, 55) && filled(copy + 56 * kPage, 1056) && zero(area + 56 * kPage));
  area[50 * kPage] = 'p';
  CHECK_EQ(window[0], 'p');
  child.join();
  CHECK_EQ(std::string(shown, 7), "Content");
  CHECK_EQ(::lseek(open, 0, SEEK_CUR), 7);
  CHECK_EQ(::fcntl(open, F_GET_SEALS), F_SEAL_SHRINK | F_SEAL_GROW);
  CHECK(::ftruncate(open, 0) < 0 && errno == EPERM);
}
