// SPDX-License-Identifier: Apache-2.0
#include "restore/segment_checks.h"

#include <sys/shm.h>

#include <cerrno>

#include "base/log.h"
#include "kinds/sysv_shm.h"

namespace bpfckpt::restore {
namespace {

// include/linux/ipc_namespace.h: an id's low bits are its index in the kernel's table.
constexpr std::uint32_t kIndexMask = (1u << 15) - 1;

struct Answer {
  std::string conflict;
  std::string warning;
};

bool is_the_same(const shmid_ds& facts, const pb::SysvSegment& segment) {
  // A segment that was removed and has nobody is gone: one that is there has somebody.
  return facts.shm_perm.__key == segment.key() && facts.shm_segsz == segment.size() &&
         facts.shm_perm.cuid == segment.creator_uid() && facts.shm_perm.cgid == segment.creator_gid();
}

Answer look_at(const ModelIndex& index, const pb::SysvSegment& segment) {
  shmid_ds facts{};
  if (::shmctl(static_cast<int>(segment.id()), IPC_STAT, &facts) == 0) {
    if (!is_the_same(facts, segment)) return {"another segment has its id now", ""};
    if (facts.shm_nattch != 0)
      return {fmt::format("others have it attached ({} mappings), the last to come or go was pid {}",
                          facts.shm_nattch, facts.shm_lpid),
              ""};
    const bool ours = index.process(static_cast<std::uint32_t>(facts.shm_lpid)) != nullptr;
    if (!ours && facts.shm_lpid != 0)
      return {"", fmt::format("pid {} had it attached since the checkpoint: what it wrote is replaced",
                              facts.shm_lpid)};
    return {};
  }
  if (errno == EACCES) return {"another segment has its id now", ""};
  // SHM_STAT takes an index, and gives the id of who has it.
  const int other = ::shmctl(static_cast<int>(segment.id() & kIndexMask), SHM_STAT, &facts);
  if (other >= 0) return {fmt::format("segment {} has its place in the kernel's table now", other), ""};
  if (errno == EACCES) return {"another segment has its place in the kernel's table now", ""};
  if (segment.key() != IPC_PRIVATE) {
    const int holder = ::shmget(segment.key(), 0, 0);
    if (holder >= 0) return {fmt::format("its key is that of segment {} now", holder), ""};
    if (errno == EACCES) return {"its key is that of another segment now", ""};
  }
  return {};
}

}  // namespace

Result<void> check_segments(const Model& model, const ModelIndex& index) {
  std::string conflicts;
  for (const pb::FileObject& object : model.files.objects()) {
    if (object.kind() != "sysv_shm") continue;
    TRY_ASSIGN(const pb::SysvSegment segment, kinds::unpack_segment(object), "object {}", object.id());
    const Answer answer = look_at(index, segment);
    if (!answer.conflict.empty())
      conflicts += fmt::format("{}{}: {}", conflicts.empty() ? "" : "\n", kinds::segment_name(segment),
                               answer.conflict);
    if (!answer.warning.empty()) log::warn("{}: {}", kinds::segment_name(segment), answer.warning);
  }
  if (conflicts.empty()) return {};
  return fail(Error::conflict(conflicts));
}

}  // namespace bpfckpt::restore
