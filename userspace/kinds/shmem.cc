// SPDX-License-Identifier: Apache-2.0
// Memory that is a file: shared anonymous mappings, and memfds.
//
// Both are files on an internal tmpfs mount that no path leads to; the bytes travel with the checkpoint,
// holes left out. A memfd is made by memfd_create(2) again; a shared anonymous mapping by mapping one of the
// full size in bpfckpt and opening it through its own map_files link, so that it is, in the process, what it
// was. Kept: bytes, holes, size, seals, name, mode and owner. Not kept: inode number; memory policies.
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "bpf/records.h"
#include "images/kinds/shmem.pb.h"
#include "kinds/kind.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::string_view kMemfdPrefix = "/memfd:";

bool is_memfd(const pb::File& file) {
  return file.path().path().starts_with(kMemfdPrefix);
}

bool has_object(const file_record&) {
  return true;
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject* object) {
  if (object == nullptr) return {};
  pb::SharedMemory memory;
  memory.set_seals(record.detail.shmem.seals);
  memory.set_huge_page_shift(record.detail.shmem.huge_page_shift);
  if (is_memfd(file)) memory.set_name(file.path().path().substr(kMemfdPrefix.size()));
  memory.set_mode(record.inode.mode);
  memory.set_uid(record.inode.uid);
  memory.set_gid(record.inode.gid);
  object->mutable_detail()->PackFrom(memory);
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject* object) {
  if (object == nullptr) return {};
  TRY_ASSIGN(pb::SharedMemory memory, unpack<pb::SharedMemory>(object->detail(), "shared memory"));
  TRY_ASSIGN(Fd fd, context.borrow(file));
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return fail(Error::system("fstat"));
  std::string name;
  TRY_ASSIGN(int image, context.content_image(*object, name));
  TRY(copy_content(fd.get(), static_cast<std::uint64_t>(st.st_size), name, image, *memory.mutable_content()));
  object->mutable_detail()->PackFrom(memory);
  return {};
}

Result<void> make(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) {
  TRY_ASSIGN(pb::SharedMemory memory, unpack<pb::SharedMemory>(object.detail(), "shared memory"));
  OpId fd = 0;
  if (is_memfd(file)) {
    std::uint32_t flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    if (memory.huge_page_shift() != 0) flags |= MFD_HUGETLB | memory.huge_page_shift() << MFD_HUGE_SHIFT;
    fd = plan.call(kSelf, SYS_memfd_create, {Operand::data(plan.text(memory.name())), flags}, "memfd");
  } else {
    std::uint32_t flags = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
    if (memory.huge_page_shift() != 0) flags |= MAP_HUGETLB | memory.huge_page_shift() << MAP_HUGE_SHIFT;
    std::uint64_t size = memory.content().size();
    OpId map = plan.call(kSelf, SYS_mmap, {0, size, PROT_READ | PROT_WRITE, flags, -1, 0}, "shared memory");
    fd = plan.op(Op::Code::OpenMapping, kSelf, {Operand::result(map), size});
    plan.call(kSelf, SYS_munmap, {Operand::result(map), size});
  }
  plan.fill(Operand::result(fd), memory.content());
  plan.call(kSelf, SYS_fchown, {Operand::result(fd), memory.uid(), memory.gid()});
  plan.call(kSelf, SYS_fchmod, {Operand::result(fd), memory.mode() & 07777});
  plan.set_object(object.id(), Operand::result(fd));
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject* object) {
  if (object == nullptr) return fail(Error::bad_image("shared memory without its object"));
  TRY_ASSIGN(Operand made, plan_object(plan, file, *object));
  OpId fd = plan.reopen(
      made, (file.flags() & ~static_cast<std::uint32_t>(O_CREAT | O_EXCL | O_TRUNC)) | O_CLOEXEC, "file");
  if (file.position() != 0)
    plan.call(kSelf, SYS_lseek, {Operand::result(fd), file.position(), SEEK_SET}, "position of file");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

// Seals would keep the bytes from being written and mappings from being made: they come when both are done.
Result<void> finish(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) {
  TRY_ASSIGN(pb::SharedMemory memory, unpack<pb::SharedMemory>(object.detail(), "shared memory"));
  const Operand* fd = plan.object(object.id());
  if (!is_memfd(file) || fd == nullptr) return {};
  // A memfd that was made without MFD_ALLOW_SEALING has F_SEAL_SEAL.
  if (memory.seals() != 0) plan.call(kSelf, SYS_fcntl, {*fd, F_ADD_SEALS, memory.seals()}, "seals");
  return {};
}

Finding diagnose(const pb::File&, const pb::FileObject*, const DumpPolicy&) {
  return {};
}

}  // namespace

extern const Kind kShmem = {
    .name = "shmem",
    .kept = "memfds and shared anonymous memory: bytes, holes, size, seals, name, mode, owner",
    .not_kept = "inode number, memory policy",
    .describe = describe,
    .enrich = enrich,
    .make = make,
    .plan = plan,
    .diagnose = diagnose,
    .finish = finish,
    .has_object = has_object,
};

}  // namespace bpfckpt::kinds
