// SPDX-License-Identifier: Apache-2.0
// Memory that is a file: shared anonymous mappings, and memfds.
//
// Both are files on an internal tmpfs mount that no path leads to; the bytes travel with the checkpoint,
// holes left out. A memfd is made by memfd_create(2) again; a shared anonymous mapping by mapping one of the
// full size in bpfckpt and opening it through its own map_files link, so that it is, in the process, what it
// was. Kept: bytes, holes, size, seals, name, mode, owner and mtime. Not kept: inode number, extended
// attributes. Refused: NUMA policies, System V segments.
//
// What memfd_create(2) gives is not counted among those who may write (FMODE_WRITER): a program can be
// executed while it is open, but not while a later opening for writing is. So that description is the new
// memfd's own again.
#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpf/records.h"
#include "images/kinds/shmem.pb.h"
#include "kernel/memfd.h"
#include "kinds/huge_content.h"
#include "kinds/kind.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::string_view kMemfdPrefix = "/memfd:";
constexpr std::size_t kMaxMemfdName = 249;       // mm/memfd.c: MFD_NAME_MAX_LEN
constexpr std::uint32_t kSealExec = 0x20;        // F_SEAL_EXEC, since 6.3
constexpr std::uint32_t kMaxHugePageShift = 63;  // of the six bits of MFD_HUGE_MASK
constexpr std::uint32_t kFmodeWriter = 1 << 16;  // include/linux/fs.h: FMODE_WRITER
constexpr std::uint32_t kLargeFile = 0100000;    // O_LARGEFILE, which glibc defines as 0

bool is_memfd(const pb::File& file) {
  return file.path().path().starts_with(kMemfdPrefix);
}

bool has_object(const file_record&) {
  return true;
}

Result<pb::SharedMemory> unpack_object(const pb::FileObject& object) {
  TRY_ASSIGN(pb::SharedMemory memory, unpack<pb::SharedMemory>(object.detail(), "shared memory"));
  if (memory.name().size() > kMaxMemfdName || memory.huge_page_shift() > kMaxHugePageShift)
    return fail(Error::bad_image("shared memory: its name or its page size is impossible"));
  return memory;
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject* object) {
  constexpr std::uint32_t kPathOrWriter = 0x4000 /* FMODE_PATH */ | kFmodeWriter;
  if (is_memfd(file) && (file.flags() & O_ACCMODE) == O_RDWR && !(record.open_mode & kPathOrWriter)) {
    pb::SharedMemoryFile detail;
    detail.set_original(true);
    file.mutable_detail()->PackFrom(detail);
  }
  if (object == nullptr) return {};
  pb::SharedMemory memory;
  memory.set_seals(record.detail.shmem.seals);
  memory.set_huge_page_shift(record.detail.shmem.huge_page_shift);
  if (is_memfd(file)) memory.set_name(file.path().path().substr(kMemfdPrefix.size()));
  memory.set_mode(record.inode.mode);
  memory.set_uid(record.inode.uid);
  memory.set_gid(record.inode.gid);
  memory.set_mtime_ns(record.inode.mtime_ns);
  memory.set_has_policies(record.detail.shmem.policies != 0);
  pack(memory, *object->mutable_detail());
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject* object) {
  if (object == nullptr) return {};
  TRY_ASSIGN(pb::SharedMemory memory, unpack_object(*object));
  TRY_ASSIGN(Fd fd, context.borrow(file));
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return fail(Error::system("fstat"));
  auto copy = memory.huge_page_shift() != 0 ? copy_huge_content : copy_content;
  TRY(copy(context, fd.get(), st, *memory.mutable_content()));
  pack(memory, *object->mutable_detail());
  return {};
}

// Whether it can be executed is said by its mode and by F_SEAL_EXEC; the sysctl vm.memfd_noexec must have no
// say.
std::uint32_t exec_flag(const pb::SharedMemory& memory) {
  static const bool known = kernel::memfd_exec_known();
  if (!known) return 0;
  return (memory.seals() & kSealExec) != 0 && (memory.mode() & 0111) == 0 ? kernel::kMemfdNoExecSeal
                                                                          : kernel::kMemfdExec;
}

Result<void> make(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) {
  TRY_ASSIGN(pb::SharedMemory memory, unpack_object(object));
  OpId fd = 0;
  if (is_memfd(file)) {
    std::uint32_t flags = MFD_CLOEXEC | MFD_ALLOW_SEALING | exec_flag(memory);
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
  if (memory.huge_page_shift() != 0)
    fill_huge(plan, Operand::result(fd), memory.content());
  else
    plan.fill(Operand::result(fd), memory.content());
  plan.call(kSelf, SYS_fchown, {Operand::result(fd), memory.uid(), memory.gid()});
  plan.call(kSelf, SYS_fchmod, {Operand::result(fd), memory.mode() & 07777});
  plan_mtime(plan, Operand::result(fd), memory.mtime_ns());
  plan.set_object(object.id(), Operand::result(fd));
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject* object) {
  if (object == nullptr) return fail(Error::bad_image("shared memory without its object"));
  TRY_ASSIGN(Operand made, plan_object(plan, file, *object));
  pb::SharedMemoryFile detail;
  if (file.has_detail()) {
    TRY_ASSIGN(detail, unpack<pb::SharedMemoryFile>(file.detail(), "shared memory"));
  }
  std::uint32_t flags = file.flags() & ~static_cast<std::uint32_t>(O_CREAT | O_EXCL | O_TRUNC);
  OpId fd = 0;
  if (detail.original()) {
    fd = plan.call(kSelf, SYS_fcntl, {made, F_DUPFD_CLOEXEC, 0}, "file");
    if (flags != (O_RDWR | kLargeFile))
      plan.call(kSelf, SYS_fcntl, {Operand::result(fd), F_SETFL, flags}, "flags of file");
  } else {
    fd = plan.reopen(made, flags | O_CLOEXEC, "file");
  }
  // Filling the original moved its position.
  if (file.position() != 0 || detail.original())
    plan.call(kSelf, SYS_lseek, {Operand::result(fd), file.position(), SEEK_SET}, "position of file");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

// Seals would keep the bytes from being written and mappings from being made: they come when both are done.
Result<void> finish(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) {
  TRY_ASSIGN(pb::SharedMemory memory, unpack_object(object));
  const Operand* fd = plan.object(object.id());
  if (!is_memfd(file) || fd == nullptr) return {};
  // A memfd that was made without MFD_ALLOW_SEALING has F_SEAL_SEAL.
  if (memory.seals() != 0) plan.call(kSelf, SYS_fcntl, {*fd, F_ADD_SEALS, memory.seals()}, "seals");
  return {};
}

// ipc/shm.c:newseg(): "SYSV" and the key.
bool is_system_v(const pb::File& file) {
  return file.path().path().starts_with("/SYSV");
}

Finding diagnose(const pb::File& file, const pb::FileObject* object, const DumpPolicy&) {
  if (is_system_v(file))
    return {Verdict::Unsupported, "sysv-shm",
            fmt::format("a System V shared memory segment ({}) that was opened as a file (map_files)",
                        file.path().path().substr(1)),
            ""};
  if (object == nullptr) return {};
  auto memory = unpack<pb::SharedMemory>(object->detail(), "shared memory");
  if (memory && memory->has_policies())
    return {Verdict::Unsupported, "shmem-mempolicy",
            "shared memory with a NUMA policy of its own (mbind(2) on a shared mapping)", ""};
  return {};
}

}  // namespace

extern const Kind kShmem = {
    .name = "shmem",
    .kept =
        "memfds and shared anonymous memory, also on huge pages: bytes, holes, size, seals, name, mode, "
        "owner, mtime",
    .not_kept = "inode number, extended attributes, memory policy",
    .describe = describe,
    .enrich = enrich,
    .make = make,
    .plan = plan,
    .diagnose = diagnose,
    .finish = finish,
    .has_object = has_object,
    .mappable = true,
};

}  // namespace bpfckpt::kinds
