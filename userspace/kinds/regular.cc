// SPDX-License-Identifier: Apache-2.0
// Regular files and directories.
//
// A file that has a name is opened by it again: contents, times and ownership are the file system's business
// and are not kept. A file that lost its last name (nlink 0) exists only through its openers and mappings:
// its bytes travel with the checkpoint, holes left out, and at restore it is made under its old name and
// unlinked again before anybody else could come to depend on it. Not kept: extended attributes of such a
// file, its inode number, its atime.
//
// What was opened with O_PATH is only a place, whatever is there: a symbolic link, a socket, a device;
// without a name it is made again, too. (A FIFO without a name is the business of pipes: others may have it
// open.)
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "bpf/records.h"
#include "images/kinds/regular.pb.h"
#include "kinds/kind.h"
#include "kinds/names.h"
#include "kinds/objects.h"
#include "kinds/policy.h"

namespace bpfckpt::kinds {
namespace {

// O_* that only an opening takes and fcntl(F_SETFL) ignores are in f_flags; what creates or truncates never
// is. O_TMPFILE stays there (with O_DIRECTORY as a part of it) and asks for yet another file.
constexpr std::uint32_t kTmpfile = O_TMPFILE & ~O_DIRECTORY;
constexpr std::uint32_t kNeverAgain = O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY;

// A file that never had a name (O_TMPFILE) may still be given one by linkat(2), which a deleted one may not.
// The kernel calls it by its inode number (fs/dcache.c:d_mark_tmpfile()).
bool never_had_name(const pb::File& file) {
  return file.path().path().ends_with(fmt::format("/#{}", file.inode().number()));
}

// It leads nowhere by name.
bool has_object(const file_record& record) {
  return (record.path.flags & PATH_UNLINKED) != 0 || record.inode.links == 0;
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject* object) {
  if (object == nullptr) return {};
  pb::GhostFile ghost;
  ghost.set_mode(record.inode.mode);
  ghost.set_uid(record.inode.uid);
  ghost.set_gid(record.inode.gid);
  ghost.set_mtime_ns(file.inode().mtime_ns());
  object->mutable_detail()->PackFrom(ghost);
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject* object) {
  if (object == nullptr || !(S_ISREG(file.inode().mode()) || S_ISLNK(file.inode().mode()))) return {};
  TRY_ASSIGN(pb::GhostFile ghost, unpack<pb::GhostFile>(object->detail(), "deleted file"));
  TRY_ASSIGN(Fd fd, context.borrow(file));
  if (S_ISLNK(file.inode().mode())) {
    std::string target(PATH_MAX, '\0');
    ssize_t len = ::readlinkat(fd.get(), "", target.data(), target.size());
    if (len < 0) return fail(Error::system("readlinkat"));
    ghost.set_target(target.substr(0, static_cast<std::size_t>(len)));
    object->mutable_detail()->PackFrom(ghost);
    return {};
  }
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return fail(Error::system("fstat"));
  std::string name;
  TRY_ASSIGN(int image, context.content_image(*object, name));
  TRY(copy_content(fd.get(), static_cast<std::uint64_t>(st.st_size), name, image, *ghost.mutable_content()));
  object->mutable_detail()->PackFrom(ghost);
  return {};
}

// A symbolic link, a socket, a device: nobody has more of it than its place.
Result<void> make_place(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object,
                        const pb::GhostFile& ghost, DataId path) {
  switch (ghost.mode() & S_IFMT) {
    case S_IFLNK:
      plan.call(kSelf, SYS_symlink, {Operand::data(plan.text(ghost.target())), Operand::data(path)},
                "deleted symbolic link");
      break;
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
      plan.call(kSelf, SYS_mknod, {Operand::data(path), ghost.mode(), file.inode().rdev()}, "deleted node");
      plan.call(kSelf, SYS_chmod, {Operand::data(path), ghost.mode() & 07777});
      break;
    default:
      return fail(Error::bad_image(fmt::format("a deleted file of mode {:o}", ghost.mode())));
  }
  plan.call(kSelf, SYS_lchown, {Operand::data(path), ghost.uid(), ghost.gid()});
  OpId place = plan.call(kSelf, SYS_openat, {AT_FDCWD, Operand::data(path), O_PATH | O_NOFOLLOW | O_CLOEXEC});
  plan.call(kSelf, SYS_unlink, {Operand::data(path)});
  plan.set_object(object.id(), Operand::result(place));
  return {};
}

Result<void> make(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) {
  TRY_ASSIGN(pb::GhostFile ghost, unpack<pb::GhostFile>(object.detail(), "deleted file"));
  DataId path = plan.text(free_name(plan.environment(), file.path().path()));
  if (!S_ISDIR(ghost.mode()) && !S_ISREG(ghost.mode())) return make_place(plan, file, object, ghost, path);
  if (S_ISDIR(ghost.mode())) {
    plan.call(kSelf, SYS_mkdir, {Operand::data(path), ghost.mode() & 07777}, "deleted directory");
    OpId directory =
        plan.call(kSelf, SYS_openat, {AT_FDCWD, Operand::data(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC});
    plan.call(kSelf, SYS_fchown, {Operand::result(directory), ghost.uid(), ghost.gid()});
    plan.call(kSelf, SYS_fchmod, {Operand::result(directory), ghost.mode() & 07777});
    plan.call(kSelf, SYS_rmdir, {Operand::data(path)});
    plan.set_object(object.id(), Operand::result(directory));
    return {};
  }
  OpId fd = 0;
  if (never_had_name(file)) {
    const std::string& name = file.path().path();
    DataId directory = plan.text(name.substr(0, std::max<std::size_t>(1, name.rfind('/'))));
    fd = plan.call(kSelf, SYS_openat,
                   {AT_FDCWD, Operand::data(directory), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600},
                   "file without a name");
  } else {
    fd = plan.call(kSelf, SYS_openat,
                   {AT_FDCWD, Operand::data(path), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600},
                   "deleted file");
    plan.call(kSelf, SYS_unlink, {Operand::data(path)});
  }
  plan.fill(Operand::result(fd), ghost.content());
  plan.call(kSelf, SYS_fchown, {Operand::result(fd), ghost.uid(), ghost.gid()});
  plan.call(kSelf, SYS_fchmod, {Operand::result(fd), ghost.mode() & 07777});
  plan_mtime(plan, Operand::result(fd), ghost.mtime_ns());
  // An executable cannot run while somebody has it open for writing (ETXTBSY); nor can a lease be taken.
  OpId readable = plan.reopen(Operand::result(fd), O_RDONLY);
  plan.call(kSelf, SYS_close, {Operand::result(fd)});
  plan.set_object(object.id(), Operand::result(readable));
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject* object) {
  std::uint32_t flags = file.flags() & ~kNeverAgain;
  if (flags & kTmpfile) flags &= ~std::uint32_t{O_TMPFILE};
  OpId fd = 0;
  if (object != nullptr) {
    TRY_ASSIGN(Operand made, plan_object(plan, file, *object));
    fd = plan.reopen(made, flags | O_CLOEXEC, "file");
  } else {
    fd = plan.call(kSelf, SYS_openat,
                   {AT_FDCWD, Operand::data(plan.text(file.path().path())), flags | O_CLOEXEC}, "file");
  }
  if (file.position() != 0 && !(flags & O_PATH))
    plan.call_expecting(kSelf, static_cast<std::uint64_t>(file.position()), SYS_lseek,
                        {Operand::result(fd), file.position(), SEEK_SET}, "position of file");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject* object, const DumpPolicy& policy) {
  if (!file.path().deleted()) return {};
  if (object == nullptr || file.inode().links() > (S_ISDIR(file.inode().mode()) ? 1u : 0u))
    return {Verdict::Unsupported, "unlinked-but-linked",
            "its name is gone, but the file has other names that are not known", ""};
  if (file.inode().size() > policy.ghost_limit_bytes)
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
    .has_object = has_object,
    .mappable = true,
};

}  // namespace bpfckpt::kinds
