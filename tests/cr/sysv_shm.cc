// SPDX-License-Identifier: Apache-2.0
// ctest-lock: sysv-segments
// System V segments: one that stays there, one that was removed and goes with the tree; attached several
// times, by several processes, read-only, and with holes. What lies behind a segment's end counts, too.
#include "harness/cr_sysv.h"

namespace {

using namespace cr;

constexpr std::size_t kSize = 5 * kPage + 100;

void set_owner(int id, uid_t uid, gid_t gid, mode_t mode) {
  shmid_ds facts = segment_facts(id);
  facts.shm_perm.uid = uid;
  facts.shm_perm.gid = gid;
  facts.shm_perm.mode = static_cast<unsigned short>(mode);
  REQUIRE(::shmctl(id, IPC_SET, &facts) == 0);
}

void fill_segment(char* memory, std::uint32_t seed) {
  fill(memory, seed);
  fill(memory + 3 * kPage, seed + 1);
  std::memcpy(memory + 5 * kPage + 90, "over the very end", 18);
}

void check_segment(const char* memory, std::uint32_t seed) {
  CHECK(filled(memory, seed) && filled(memory + 3 * kPage, seed + 1));
  CHECK(std::memcmp(memory + 5 * kPage + 90, "over the very end", 18) == 0);
  CHECK(zero(memory + kPage) && memory[5 * kPage] == 0 && memory[6 * kPage - 1] == 0);
}

bool can_write(char* address) {
  int ends[2];
  REQUIRE(::pipe(ends) == 0 && ::write(ends[1], "w", 1) == 1);
  const bool done = ::read(ends[0], address, 1) == 1;
  ::close(ends[0]);
  ::close(ends[1]);
  return done;
}

}  // namespace

void cr::test() {
  const int named = segment(kTestKey, kSize, 0640);
  const int removed = segment(IPC_PRIVATE, kSize, 0600);
  set_owner(named, 1234, 4321, 0606);
  const bool locked = ::shmctl(named, SHM_LOCK, nullptr) == 0;
  char* memory = attach(named);
  char* again = attach(named);
  const char* read_only = attach(named, nullptr, SHM_RDONLY);
  char* gone = attach(removed);
  fill_segment(memory, 1);
  fill_segment(gone, 10);
  REQUIRE(::shmctl(removed, IPC_RMID, nullptr) == 0);
  Child child([&] {
    // Inherited ones, and one of its own.
    char* own = attach(removed);
    REQUIRE(::shmdt(again) == 0);
    wait_released();
    while (gone[2 * kPage] != 'p') ::usleep(1000);  // the parent has looked at all
    check_segment(own, 10);
    CHECK(memory[kPage] == 'x' && filled(memory + 3 * kPage, 2));
    own[2 * kPage + 1] = 'c';
    CHECK(::shmdt(own) == 0 && ::shmdt(gone) == 0);
  });
  await_waiting(1);
  const shmid_ds named_before = segment_facts(named), removed_before = segment_facts(removed);
  CHECK_EQ(named_before.shm_nattch, 5u);
  CHECK_EQ(removed_before.shm_nattch, 3u);
  CHECK(!locked || (named_before.shm_perm.mode & SHM_LOCKED));

  checkpoint_here();

  check_same(named, named_before);
  check_same(removed, removed_before);
  check_segment(memory, 1);
  check_segment(again, 1);
  check_segment(read_only, 1);
  check_segment(gone, 10);
  memory[kPage] = 'x';
  CHECK(again[kPage] == 'x' && read_only[kPage] == 'x');
  CHECK(!can_write(const_cast<char*>(read_only)) && can_write(again));
  CHECK(::mprotect(const_cast<char*>(read_only), kPage, PROT_READ | PROT_WRITE) != 0);
  gone[2 * kPage] = 'p';
  child.join();
  CHECK(gone[2 * kPage + 1] == 'c');
  CHECK_EQ(segment_facts(removed).shm_nattch, 1u);
  CHECK(::shmdt(gone) == 0);
  shmid_ds facts;
  CHECK(::shmctl(removed, IPC_STAT, &facts) != 0);
  CHECK(::shmget(kTestKey, 0, 0) == named);
  CHECK(::shmdt(memory) == 0 && ::shmdt(again) == 0 && ::shmdt(read_only) == 0);
  CHECK_EQ(segment_facts(named).shm_nattch, 0u);
  CHECK(::shmctl(named, IPC_RMID, nullptr) == 0);
}

cr::Options cr::options() {
  return {};
}
