// SPDX-License-Identifier: Apache-2.0
// ctest-lock: sysv-segments
// ctest-serial: 1
// A System V segment on huge pages.
#include "harness/cr_huge_pages.h"
#include "harness/cr_sysv.h"

void cr::test() {
  const HugePages pages(8);
  const int id = ::shmget(IPC_PRIVATE, 3 * kHuge - 5, IPC_CREAT | 0600 | SHM_HUGETLB | 21 << 26);
  if (id < 0) {
    pages.give_back();
    skip("hugetlb");
  }
  char* memory = attach(id);
  fill(memory, 1);
  fill(memory + 3 * kHuge - kPage, 2);
  char* part = attach(id);
  REQUIRE(::munmap(part, kHuge) == 0);
  REQUIRE(::shmctl(id, IPC_RMID, nullptr) == 0);
  const shmid_ds before = segment_facts(id);

  checkpoint_here();

  check_same(id, before);
  CHECK(filled(memory, 1) && filled(memory + 3 * kHuge - kPage, 2) && zero(memory + kHuge));
  part[kHuge] = 'h';
  CHECK(memory[kHuge] == 'h');
  CHECK(::shmdt(memory) == 0);
  CHECK(::shmdt(part) == 0 && !readable(part + kHuge));
  CHECK(pages.give_back());
}

// Pages get into the page tables when they are touched.
cr::Options cr::options() {
  return {.ignore = {"*/status/HugetlbPages"}};
}
