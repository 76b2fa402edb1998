// SPDX-License-Identifier: Apache-2.0
// Regular files and directories, and whatever is open with O_PATH.
//
// A file that has a name is opened by it again: contents, times and ownership are the file system's business
// and are not kept. A file that lost its last name travels with the checkpoint (kinds/ghost_file.h). One that
// lost the name by which it was opened, but has others, is found by one of those: by a name that the tree
// itself has for the inode, by the old name if that leads to it once more, else by one that dump makes for
// the purpose
// (--link-remap). With the description are kept its position, its flags and what posix_fadvise(2) said of it;
// with the inode its write-life hint. Not kept: what was read ahead, errors of writing back that nobody was
// told of yet.
//
// NFS gives a file that is removed while its client has it open a name of its own (".nfs" and a number),
// which goes with the last opener: such a file is a ghost, too.
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include <map>

#include "bpf/records.h"
#include "kinds/ghost_file.h"
#include "kinds/kind.h"
#include "kinds/names.h"
#include "kinds/objects.h"
#include "kinds/place.h"
#include "kinds/policy.h"

namespace bpfckpt::kinds {

extern const Kind kRegular;

namespace {

constexpr std::uint32_t kFmodeRandom = 0x1000;     // include/linux/fs.h
constexpr std::uint32_t kFmodeNoReuse = 0x800000;  // since 6.3
constexpr std::uint32_t kHighestWriteHint = RWH_WRITE_LIFE_EXTREME;

bool silly_renamed(const file_record& record) {
  return record.inode.magic == NFS_SUPER_MAGIC &&
         std::string_view(record.name, ::strnlen(record.name, sizeof record.name)).starts_with(".nfs");
}

// It leads nowhere by name.
bool has_object(const file_record& record) {
  if (!can_be_ghost(record.inode.mode)) return false;
  return (record.path.flags & PATH_UNLINKED) != 0 || record.inode.links == 0 || silly_renamed(record);
}

std::uint32_t read_ahead(const file_record& record) {
  const regular_record& detail = record.detail.regular;
  if (record.open_mode & kFmodeRandom) return POSIX_FADV_RANDOM;
  // mm/fadvise.c:generic_fadvise()
  if (detail.device_ra_pages != 0 && detail.ra_pages == 2 * detail.device_ra_pages)
    return POSIX_FADV_SEQUENTIAL;
  return POSIX_FADV_NORMAL;
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject* object) {
  if (S_ISREG(record.inode.mode) && !(file.flags() & O_PATH)) {
    pb::RegularFile detail;
    detail.set_read_ahead(read_ahead(record));
    detail.set_no_reuse((record.open_mode & kFmodeNoReuse) != 0);
    detail.set_write_hint(record.detail.regular.write_hint);
    if (detail.ByteSizeLong() != 0) file.mutable_detail()->PackFrom(detail);
  }
  if (silly_renamed(record)) file.mutable_path()->set_deleted(true);
  if (object == nullptr) return {};
  if (!S_ISDIR(record.inode.mode) && record.inode.links != 0 && !silly_renamed(record)) {
    object->mutable_detail()->PackFrom(pb::LinkedFile());
    return {};
  }
  pb::GhostFile ghost;
  ghost.set_mode(record.inode.mode);
  ghost.set_uid(record.inode.uid);
  ghost.set_gid(record.inode.gid);
  ghost.set_mtime_ns(file.inode().mtime_ns());
  ghost.set_atime_ns(file.inode().mtime_ns());
  pack(ghost, *object->mutable_detail());
  return {};
}

bool is_linked(const pb::FileObject& object) {
  return object.detail().Is<pb::LinkedFile>();
}

// Looks for another name of what lost its own.
Result<void> settle(Model& model) {
  auto is_such = [](const pb::FileObject& object) {
    return object.kind() == kRegular.name && is_linked(object);
  };
  if (std::ranges::none_of(model.files.objects(), is_such)) return {};
  using Place = std::pair<std::uint32_t, std::uint64_t>;
  std::map<Place, std::string> names;
  std::map<std::uint32_t, const pb::File*> files;  // by object
  for (const pb::File& file : model.files.files())
    if (file.kind() == kRegular.name && file.object_id() != 0) files.emplace(file.object_id(), &file);
  for (const pb::File& file : model.files.files())
    if (file.kind() == kRegular.name && file.object_id() == 0 && !file.path().path().empty())
      names.emplace(Place{file.inode().device(), file.inode().number()}, file.path().path());
  for (pb::FileObject& object : *model.files.mutable_objects()) {
    if (!is_such(object)) continue;
    const pb::File* file = files.at(object.id());
    pb::LinkedFile linked;
    struct stat st;
    if (auto it = names.find({file->inode().device(), file->inode().number()}); it != names.end())
      linked.set_path(it->second);
    else if (::lstat(file->path().path().c_str(), &st) == 0 && st.st_ino == file->inode().number() &&
             st.st_dev == file->inode().device())
      linked.set_path(file->path().path());
    pack(linked, *object.mutable_detail());
  }
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject* object) {
  if (object == nullptr) return {};
  if (is_linked(*object)) {
    TRY_ASSIGN(pb::LinkedFile linked, unpack<pb::LinkedFile>(object->detail(), "file"));
    if (!linked.path().empty()) return {};
    TRY_ASSIGN(Fd fd, context.borrow(file));
    TRY_ASSIGN(std::string name, context.link_again(fd.get(), file.path().path()), "--link-remap");
    linked.set_path(name);
    linked.set_temporary(true);
    pack(linked, *object->mutable_detail());
    return {};
  }
  TRY_ASSIGN(pb::GhostFile ghost, unpack<pb::GhostFile>(object->detail(), "deleted file"));
  TRY_ASSIGN(Fd fd, context.borrow(file));
  TRY(take_ghost(context, fd.get(), ghost));
  pack(ghost, *object->mutable_detail());
  return {};
}

Result<void> make(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) {
  if (!is_linked(object)) {
    TRY_ASSIGN(pb::GhostFile ghost, unpack<pb::GhostFile>(object.detail(), "deleted file"));
    return make_ghost(plan, file, object, ghost);
  }
  TRY_ASSIGN(pb::LinkedFile linked, unpack<pb::LinkedFile>(object.detail(), "file"));
  if (linked.path().empty() || linked.path().front() != '/' || linked.path().find('\0') != std::string::npos)
    return fail(Error::bad_image("linked file: bad path"));
  // O_PATH: a descriptor to open it again by; whoever runs it must not find it open for writing.
  OpId fd = plan.call(kSelf, SYS_openat,
                      {AT_FDCWD, Operand::data(plan.text(linked.path())), O_PATH | O_NOFOLLOW | O_CLOEXEC},
                      "file by another name");
  plan.set_object(object.id(), Operand::result(fd));
  if (linked.temporary()) plan.remove_at_end(linked.path());
  return {};
}

Result<void> plan_advice(PlanBuilder& plan, const pb::File& file, Operand fd) {
  if (!file.has_detail()) return {};
  TRY_ASSIGN(pb::RegularFile detail, unpack<pb::RegularFile>(file.detail(), "regular file"));
  if (detail.read_ahead() > POSIX_FADV_SEQUENTIAL || detail.write_hint() > kHighestWriteHint)
    return fail(Error::bad_image("regular file: unknown advice"));
  if (detail.read_ahead() != POSIX_FADV_NORMAL)
    plan.call(kSelf, SYS_fadvise64, {fd, 0, 0, detail.read_ahead()}, "read-ahead of file");
  if (detail.no_reuse()) plan.call(kSelf, SYS_fadvise64, {fd, 0, 0, POSIX_FADV_NOREUSE}, "advice on file");
  if (detail.write_hint() != 0)
    plan.call(kSelf, SYS_fcntl,
              {fd, F_SET_RW_HINT, Operand::data(plan.bytes_of(std::uint64_t{detail.write_hint()}))},
              "write hint of file");
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject* object) {
  const std::uint32_t flags = opening_flags(file);
  Operand fd;
  if (object != nullptr) {
    TRY_ASSIGN(Operand made, plan_object(plan, file, *object));
    const Operand* with_object = plan.file(file.id());
    fd =
        with_object != nullptr ? *with_object : Operand::result(plan.reopen(made, flags | O_CLOEXEC, "file"));
  } else {
    fd = Operand::result(
        plan.call(kSelf, SYS_openat,
                  {AT_FDCWD, Operand::data(plan.text(file.path().path())), flags | O_CLOEXEC}, "file"));
  }
  if (!(flags & O_PATH)) {
    if (file.position() != 0)
      plan.call_expecting(kSelf, static_cast<std::uint64_t>(file.position()), SYS_lseek,
                          {fd, file.position(), SEEK_SET}, "position of file");
    TRY(plan_advice(plan, file, fd));
  }
  plan.set_file(file.id(), fd);
  return {};
}

// Mapping a file counts as reading it.
Result<void> finish(PlanBuilder& plan, const pb::File&, const pb::FileObject& object) {
  if (is_linked(object)) return {};
  TRY_ASSIGN(pb::GhostFile ghost, unpack<pb::GhostFile>(object.detail(), "deleted file"));
  if (S_ISREG(ghost.mode())) set_ghost_times(plan, *plan.object(object.id()), ghost);
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject* object, const DumpPolicy& policy) {
  if (!file.path().deleted()) return {};
  if (object == nullptr)
    return {Verdict::Unsupported, "path-only-deleted",
            "it is open with O_PATH, is no regular file, directory or symbolic link, and was deleted", ""};
  if (is_linked(*object)) {
    auto linked = unpack<pb::LinkedFile>(object->detail(), "file");
    if (policy.link_remap || (linked && !linked->path().empty())) return {};
    return {Verdict::NeedsOption, "link-remap",
            "its name is gone, but the file has other names that are not known; it can be given one for the "
            "time of the checkpoint",
            "--link-remap"};
  }
  if (S_ISREG(file.inode().mode()) && file.inode().size() > policy.ghost_limit_bytes)
    return {Verdict::NeedsOption, "ghost-limit",
            fmt::format("the deleted file has {} bytes, more than allowed", file.inode().size()),
            "--ghost-limit"};
  return {};
}

}  // namespace

extern const Kind kRegular = {
    .name = "regular",
    .kept =
        "what it leads to (its name), position, flags; of a file without a name (deleted, `O_TMPFILE`): "
        "bytes, holes, mode, owner, mtime; everything opened with `O_PATH`",
    .not_kept = "what is in a file that has a name; of one without: inode number, atime, extended attributes",
    .refused =
        "a name that is gone where other names are left; a deleted file that is too large: `--ghost-limit`",
    .describe = describe,
    .enrich = enrich,
    .make = make,
    .plan = plan,
    .diagnose = diagnose,
    .finish = finish,
    .settle = settle,
    .has_object = has_object,
    .mappable = true,
};

}  // namespace bpfckpt::kinds
