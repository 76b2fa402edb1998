// SPDX-License-Identifier: Apache-2.0
// System V segments in tests of tests/cr.
#pragma once

#include <sys/shm.h>

#include "harness/cr_memory.h"

namespace cr {

inline shmid_ds segment_facts(int id) {
  shmid_ds facts{};
  CHECK(::shmctl(id, IPC_STAT, &facts) == 0);
  return facts;
}

// A new segment; the test is skipped where there are none. One of that key may be left of a run that failed.
inline int segment(key_t key, std::size_t size, int flags) {
  if (key != IPC_PRIVATE)
    if (const int old = ::shmget(key, 0, 0); old >= 0) ::shmctl(old, IPC_RMID, nullptr);
  const int id = ::shmget(key, size, IPC_CREAT | IPC_EXCL | flags);
  if (id < 0 && errno == ENOSYS) skip("sysvipc");
  REQUIRE(id >= 0);
  return id;
}

inline char* attach(int id, const void* at = nullptr, int flags = 0) {
  char* memory = static_cast<char*>(::shmat(id, at, flags));
  REQUIRE(memory != reinterpret_cast<char*>(-1));
  return memory;
}

// All that can be asked of a segment, but for its times and the last to come or go.
inline void check_same(int id, const shmid_ds& before) {
  const shmid_ds now = segment_facts(id);
  CHECK_EQ(now.shm_perm.__key, before.shm_perm.__key);
  CHECK_EQ(now.shm_perm.uid, before.shm_perm.uid);
  CHECK_EQ(now.shm_perm.gid, before.shm_perm.gid);
  CHECK_EQ(now.shm_perm.cuid, before.shm_perm.cuid);
  CHECK_EQ(now.shm_perm.cgid, before.shm_perm.cgid);
  CHECK_EQ(now.shm_perm.mode, before.shm_perm.mode);
  CHECK_EQ(now.shm_segsz, before.shm_segsz);
  CHECK_EQ(now.shm_nattch, before.shm_nattch);
  CHECK_EQ(now.shm_cpid, before.shm_cpid);
}

// A key that no other test has.
constexpr key_t kTestKey = 0x62706600;

}  // namespace cr
