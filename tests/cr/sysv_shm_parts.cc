// SPDX-License-Identifier: Apache-2.0
// ctest-lock: sysv-segments
// Attachments of which parts were unmapped, moved, protected, mapped twice or advised; shmdt(2) still finds
// what belongs to one.
#include "harness/cr_sysv.h"

void cr::test() {
  constexpr int kPages = 16;
  const int id = segment(IPC_PRIVATE, kPages * kPage, 0600);
  char* holes = attach(id);
  for (int i = 0; i < kPages; i++) fill(holes + i * kPage, i);
  // A second attachment in a hole of the first, with a hole itself.
  REQUIRE(::munmap(holes + kPage, kPage) == 0 && ::munmap(holes + 5 * kPage, 3 * kPage) == 0);
  REQUIRE(::mprotect(holes + 10 * kPage, kPage, PROT_READ) == 0);
  REQUIRE(::mprotect(holes + 12 * kPage, kPage, PROT_NONE) == 0);
  REQUIRE(::madvise(holes + 14 * kPage, kPage, MADV_DONTFORK) == 0);
  char* other = attach(id, nullptr, SHM_RDONLY | SHM_EXEC);
  REQUIRE(::munmap(other, kPage) == 0);
  char* place = map((kPages + 2) * kPage, PROT_NONE);
  REQUIRE(::mremap(other + 3 * kPage, kPage, kPage, MREMAP_MAYMOVE | MREMAP_FIXED, holes + 6 * kPage) ==
          holes + 6 * kPage);
  char* moved = attach(id);
  REQUIRE(::mremap(moved, kPages * kPage, kPages * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
  char* twice = place + kPages * kPage;
  REQUIRE(::mremap(place + kPage, 0, 2 * kPage, MREMAP_MAYMOVE | MREMAP_FIXED, twice) == twice);
  char* code = attach(id, nullptr, SHM_EXEC);
  REQUIRE(::shmctl(id, IPC_RMID, nullptr) == 0);
  const shmid_ds before = segment_facts(id);

  checkpoint_here();

  check_same(id, before);
  CHECK(!readable(holes + kPage));
  CHECK(!readable(holes + 5 * kPage));
  CHECK(!readable(holes + 12 * kPage));
  for (int i : {2, 4, 8, 10, 15}) CHECK(filled(holes + i * kPage, i));
  CHECK(filled(holes + 6 * kPage, 3) && filled(place + 9 * kPage, 9) && filled(twice, 1));
  CHECK(filled(twice + kPage, 2) && filled(other + 15 * kPage, 15) && !readable(other + 3 * kPage));
  CHECK(::mprotect(holes + 10 * kPage, kPage, PROT_READ | PROT_WRITE) == 0);
  CHECK(::mprotect(holes + 6 * kPage, kPage, PROT_READ | PROT_WRITE) != 0);  // of the read-only one
  CHECK(::mprotect(code, kPage, PROT_READ | PROT_WRITE | PROT_EXEC) == 0);
  holes[10 * kPage] = 7;
  CHECK(place[10 * kPage] == 7 && code[10 * kPage] == 7);
  // What belongs to the attachment goes, wherever it begins; what does not stays.
  CHECK(::shmdt(holes) == 0);
  CHECK(!readable(holes + 4 * kPage) && !readable(holes + 15 * kPage));
  CHECK(filled(holes + 6 * kPage, 3));
  CHECK(::shmdt(place) == 0 && !readable(place) && !readable(place + 15 * kPage));
  CHECK(filled(twice, 1));
  CHECK(::shmdt(code) == 0 && !readable(code));
}

cr::Options cr::options() {
  return {};
}
