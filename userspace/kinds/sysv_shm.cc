// SPDX-License-Identifier: Apache-2.0
// Attached System V shared memory segments.
//
// A segment belongs to an IPC namespace, has an id and perhaps a key, and outlives all processes unless it
// was removed (IPC_RMID), when it lives as long as it is attached. shmat(2) maps it through a file of its own
// (ipc/shm.c:do_shmat()), which forks share; that file is what BPF sees, and the segment the object behind.
//
// Kept: id, key, size, owner, creator's ids, permissions, bytes, holes, what lies behind its end in its last
// page, SHM_LOCKED, SHM_NORESERVE, that it was removed; which mappings belong to one attachment. Not kept:
// its times, who is charged for its lock; its creator's pid where that process is not in the tree. Segments
// that the tree has not attached are nobody's, and not looked at.
//
// It comes back in two ways (restore/segments_plan.cc): where the very segment is still there, it is attached
// again; else it is made under its id and key. Either way its bytes become those of the checkpoint, which
// the rest of the tree's memory goes with. That would be wrong for others who have it attached: they are
// refused by name at dump, and at restore.
#include "kinds/sysv_shm.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <climits>
#include <unordered_map>

#include "bpf/records.h"
#include "kinds/huge_content.h"
#include "kinds/kind.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint64_t kPageBytes = 4096;
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 47;
constexpr std::uint32_t kMostHugePageShift = 34;
constexpr std::uint32_t kModeBits = 0777 | kSegmentRemoved | kSegmentLocked;

bool has_object(const file_record&) {
  return true;
}

Result<void> describe(const file_record& record, pb::File&, pb::FileObject* object) {
  if (object == nullptr) return {};
  const sysv_shm_record& seen = record.detail.sysv_shm;
  pb::SysvSegment segment;
  segment.set_id(seen.id);
  if ((seen.flags & SYSV_SHM_FOUND) != 0) {
    segment.set_key(seen.key);
    segment.set_size(seen.size_bytes);
    segment.set_mode(seen.mode & kModeBits);
    segment.set_uid(seen.uid);
    segment.set_gid(seen.gid);
    segment.set_creator_uid(seen.creator_uid);
    segment.set_creator_gid(seen.creator_gid);
    segment.set_creator_pid(seen.creator_pid);
    segment.set_huge_page_shift(seen.huge_page_shift);
    segment.set_no_reserve((seen.flags & SYSV_SHM_NORESERVE) != 0);
    segment.set_ipc_namespace(seen.ipc_ns);
    segment.set_outside(static_cast<std::int64_t>(seen.attachments));
  }
  segment.set_has_policies(seen.policies != 0);
  pack(segment, *object->mutable_detail());
  return {};
}

// The kernel counts the mappings of a segment (ipc/shm.c:__shm_open(), shm_close()): what of them the tree
// does not have is others'.
Result<void> settle(Model& model) {
  std::unordered_map<std::uint32_t, pb::FileObject*> segments;
  for (pb::FileObject& object : *model.files.mutable_objects())
    if (object.kind() == "sysv_shm") segments.emplace(object.id(), &object);
  if (segments.empty()) return {};
  const ModelIndex index(model);
  std::unordered_map<std::uint32_t, std::int64_t> mappings;
  for (const pb::AddressSpace& mm : model.memory.address_spaces())
    for (const pb::Vma& vma : mm.vmas())
      if (const pb::FileObject* object = attached_object(index, vma)) mappings[object->id()]++;
  const pb::Namespaces* own =
      model.tasks.processes().empty() ? nullptr : index.namespaces(model.tasks.processes(0).namespaces_id());
  for (auto& [id, object] : segments) {
    TRY_ASSIGN(pb::SysvSegment segment, unpack<pb::SysvSegment>(object->detail(), "System V segment"));
    segment.set_outside(std::max<std::int64_t>(0, segment.outside() - mappings[id]));
    if (own != nullptr && own->ipc() == segment.ipc_namespace()) segment.set_ipc_namespace(0);
    pack(segment, *object->mutable_detail());
  }
  return {};
}

// A page that is mapped beyond the end of its file can be used up to its own end, and everybody who maps it
// sees what is there.
Result<void> take_tail(int fd, const std::string& image_name, int image_fd, pb::SysvSegment& segment) {
  const std::uint64_t within = segment.size() % kPageBytes, page = segment.size() - within;
  const auto& extents = segment.content().extents();
  // A last page that is not there must not be made by looking at it.
  if (within == 0 || extents.empty() || extents.rbegin()->offset() + extents.rbegin()->length() <= page)
    return {};
  void* map = ::mmap(nullptr, kPageBytes, PROT_READ, MAP_SHARED, fd, static_cast<off_t>(page));
  if (map == MAP_FAILED) return fail(Error::system("mmap of the last page"));
  const std::string bytes(static_cast<const char*>(map) + within, kPageBytes - within);
  ::munmap(map, kPageBytes);
  if (bytes.find_first_not_of('\0') == std::string::npos) return {};
  const off_t end = ::lseek(image_fd, 0, SEEK_END);
  if (end < 0 || ::pwrite(image_fd, bytes.data(), bytes.size(), end) != static_cast<ssize_t>(bytes.size()))
    return fail(Error::system("write to the image"));
  pb::Content& tail = *segment.mutable_tail();
  tail.set_image(image_name);
  tail.set_size(page + kPageBytes);
  pb::Extent& extent = *tail.add_extents();
  extent.set_offset(segment.size());
  extent.set_length(bytes.size());
  extent.set_image_offset(static_cast<std::uint64_t>(end));
  return {};
}

// What is borrowed is an opening of the segment's own file, through a mapping's link: that is no attachment,
// and leaves the segment's times alone.
Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject* object) {
  if (object == nullptr) return {};
  TRY_ASSIGN(pb::SysvSegment segment, unpack<pb::SysvSegment>(object->detail(), "System V segment"));
  TRY_ASSIGN(Fd fd, context.borrow(file));
  struct stat facts;
  if (fstat(fd.get(), &facts) != 0) return fail(Error::system("fstat"));
  auto copy = segment.huge_page_shift() != 0 ? copy_huge_content : copy_content;
  // The file of huge pages is as long as they are.
  TRY(copy(context, fd.get(), facts, *segment.mutable_content()));
  std::string name;
  TRY_ASSIGN(int image, context.content_image(name));
  if (segment.huge_page_shift() == 0) TRY(take_tail(fd.get(), name, image, segment));
  pack(segment, *object->mutable_detail());
  return {};
}

Result<void> plan(PlanBuilder&, const pb::File&, const pb::FileObject*) {
  return fail(Error::bad_image("a descriptor of a System V attachment"));
}

Finding diagnose(const pb::File&, const pb::FileObject* object, const DumpPolicy&) {
  if (object == nullptr) return {};
  auto segment = unpack<pb::SysvSegment>(object->detail(), "System V segment");
  if (!segment) return {};
  const std::string name = segment_name(*segment);
  if (segment->size() == 0)
    return {Verdict::Unsupported, "sysv-shm", fmt::format("{} could not be read", name), ""};
  if (segment->ipc_namespace() != 0)
    return {Verdict::Unsupported, "sysv-shm-namespace",
            fmt::format("{} belongs to another IPC namespace than the tree lives in", name), ""};
  if (segment->has_policies())
    return {Verdict::Unsupported, "shmem-mempolicy",
            fmt::format("{} has a NUMA policy of its own (mbind(2))", name), ""};
  if (segment->outside() != 0)
    return {Verdict::Unsupported, "sysv-shm-outside",
            fmt::format("{} is attached outside of the tree, too ({} mappings)", name, segment->outside()),
            ""};
  return {};
}

}  // namespace

const pb::FileObject* attached_object(const ModelIndex& index, const pb::Vma& vma) {
  const pb::File* file = vma.file_id() == 0 ? nullptr : index.file(vma.file_id());
  return file == nullptr || file->kind() != "sysv_shm" ? nullptr : index.object(file->object_id());
}

std::optional<pb::SysvSegment> seen_segment(const pb::FileObject& object) {
  pb::SysvSegment segment;
  if (object.kind() != "sysv_shm" || !object.detail().UnpackTo(&segment)) return std::nullopt;
  return segment;
}

Result<pb::SysvSegment> unpack_segment(const pb::FileObject& object) {
  TRY_ASSIGN(pb::SysvSegment segment, unpack<pb::SysvSegment>(object.detail(), "System V segment"));
  auto bad = [&](const char* what) {
    return fail(Error::bad_image(fmt::format("{}: {}", segment_name(segment), what)));
  };
  if (segment.id() > INT_MAX) return bad("impossible id");
  const std::uint32_t shift = segment.huge_page_shift();
  if (shift != 0 && (shift < 12 || shift > kMostHugePageShift)) return bad("impossible pages");
  if (segment.size() == 0 || segment.size() > kMostBytes ||
      segment.content().size() != (shift != 0 ? mapped_bytes(segment) : segment.size()))
    return bad("impossible size");
  if ((segment.mode() & ~kModeBits) != 0) return bad("impossible mode");
  if ((segment.mode() & kSegmentRemoved) != 0 && segment.key() != 0) return bad("removed, and has a key");
  const pb::Content& tail = segment.tail();
  if (tail.extents_size() > 1 || (tail.extents_size() == 1 && (tail.extents(0).offset() != segment.size() ||
                                                               tail.size() != mapped_bytes(segment))))
    return bad("impossible bytes behind its end");
  return segment;
}

std::uint64_t mapped_bytes(const pb::SysvSegment& segment) {
  const std::uint64_t page =
      segment.huge_page_shift() != 0 ? std::uint64_t{1} << segment.huge_page_shift() : kPageBytes;
  return (segment.size() + page - 1) / page * page;
}

std::string segment_name(const pb::SysvSegment& segment) {
  return fmt::format("System V segment {} (key {:#010x})", segment.id(),
                     static_cast<std::uint32_t>(segment.key()));
}

extern const Kind kSysvShm = {
    .name = "sysv_shm",
    .kept =
        "attached System V segments: id, key, size, owner, creator, permissions, bytes, holes, SHM_LOCKED, "
        "SHM_NORESERVE, that one was removed; attachments, also read-only or partly unmapped ones; the very "
        "segment where it is still there",
    .not_kept =
        "its times; what others wrote into it since, also where the restore fails afterwards; the creator's "
        "pid if it is not of the tree; whose limit "
        "its lock counts against; segments that nobody of the tree has attached",
    .refused = "a segment that others have attached, too; one of another IPC namespace",
    .describe = describe,
    .enrich = enrich,
    .plan = plan,
    .diagnose = diagnose,
    .settle = settle,
    .has_object = has_object,
    .mappable = true,
};

}  // namespace bpfckpt::kinds
