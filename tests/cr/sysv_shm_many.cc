// SPDX-License-Identifier: Apache-2.0
// ctest-lock: sysv-segments
// Many segments, so that the kernel keeps them in a tree of several levels, shared with a child that has the
// memory of its parent (and so is forked late at restore).
#include <vector>

#include "harness/cr_sysv.h"

void cr::test() {
  constexpr int kSegments = 300;
  char* shared = map(16 * kPage);
  fill(shared, 99);
  volatile char* gate = map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS);
  std::vector<int> ids;
  std::vector<char*> memories;
  std::vector<shmid_ds> before;
  for (int i = 0; i < kSegments; i++) {
    ids.push_back(segment(IPC_PRIVATE, kPage, 0600));
    memories.push_back(attach(ids.back()));
    fill(memories.back(), i);
    REQUIRE(::shmctl(ids.back(), IPC_RMID, nullptr) == 0);
  }
  Child child([&] {
    for (int i = 0; i < kSegments; i += 3) REQUIRE(::shmdt(memories[i]) == 0);
    wait_released();
    while (*gate == 0) ::usleep(1000);  // the parent has looked at all
    CHECK(filled(shared, 99));
    for (int i = 0; i < kSegments; i++)
      if (i % 3 != 0) CHECK(filled(memories[i], i));
    memories[1][0] = 'c';
  });
  await_waiting(1);
  for (const int id : ids) before.push_back(segment_facts(id));

  checkpoint_here();

  for (int i = 0; i < kSegments; i++) check_same(ids[i], before[i]);
  *gate = 1;
  child.join();
  for (int i = 0; i < kSegments; i++) CHECK(i == 1 || filled(memories[i], i));
  CHECK(memories[1][0] == 'c');
}

cr::Options cr::options() {
  return {};
}
