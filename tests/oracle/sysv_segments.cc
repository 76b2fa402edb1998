// SPDX-License-Identifier: Apache-2.0
// ctest-lock: sysv-segments
// System V segments against what shmctl(2) says of them.
#include <sys/shm.h>

#include "images/kinds/sysv_shm.pb.h"
#include "oracle/target.h"

using namespace oracle;

TEST_CASE("System V segments") {
  const int id = ::shmget(IPC_PRIVATE, 12345, IPC_CREAT | 0642);
  REQUIRE(id >= 0);
  shmid_ds facts{};
  REQUIRE(::shmctl(id, IPC_STAT, &facts) == 0);
  facts.shm_perm.uid = 77;
  facts.shm_perm.gid = 88;
  REQUIRE(::shmctl(id, IPC_SET, &facts) == 0);
  Target target([&] {
    for (int flags : {0, SHM_RDONLY})
      if (::shmat(id, nullptr, flags) == reinterpret_cast<void*>(-1)) ::_exit(1);
  });
  void* ours = ::shmat(id, nullptr, 0);
  REQUIRE(ours != reinterpret_cast<void*>(-1));
  const bool locked = ::shmctl(id, SHM_LOCK, nullptr) == 0;
  ::shmctl(id, IPC_RMID, nullptr);
  REQUIRE(::shmctl(id, IPC_STAT, &facts) == 0);
  const auto model = model_of(target.pid());
  int seen = 0;
  for (const auto& object : model.files.objects()) {
    if (object.kind() != "sysv_shm") continue;
    bpfckpt::pb::SysvSegment segment;
    REQUIRE(object.detail().UnpackTo(&segment));
    CHECK(segment.id() == static_cast<std::uint32_t>(id));
    CHECK(segment.key() == facts.shm_perm.__key);
    CHECK(segment.size() == facts.shm_segsz);
    CHECK(segment.mode() == facts.shm_perm.mode);
    CHECK(((segment.mode() & SHM_LOCKED) != 0) == locked);
    CHECK((segment.mode() & SHM_DEST) != 0);
    CHECK(segment.uid() == 77);
    CHECK(segment.gid() == 88);
    CHECK(segment.creator_uid() == facts.shm_perm.cuid);
    CHECK(segment.creator_gid() == facts.shm_perm.cgid);
    CHECK(segment.creator_pid() == static_cast<std::uint32_t>(::getpid()));
    CHECK(segment.ipc_namespace() == 0);
    CHECK(segment.outside() == 1);  // ours
    ++seen;
  }
  CHECK(seen == 1);
  int attachments = 0;
  for (const auto& file : model.files.files())
    if (file.kind() == "sysv_shm") ++attachments;
  CHECK(attachments == 2);
  ::shmdt(ours);
}
