// SPDX-License-Identifier: Apache-2.0
#include "kinds/ghost_file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>

#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::size_t kMaxNameBytes = 255;     // XATTR_NAME_MAX
constexpr std::size_t kMaxValueBytes = 65536;  // XATTR_SIZE_MAX
constexpr int kMaxAttributes = 4096;
constexpr std::int64_t kSecond = 1'000'000'000;

// The others are made up by the kernel or by a security module for every file.
bool travels(std::string_view name) {
  return name.starts_with("user.") || name.starts_with("trusted.") || name == "security.capability" ||
         name.starts_with("system.posix_acl_");
}

std::int64_t nanoseconds(const timespec& time) {
  return time.tv_sec * kSecond + time.tv_nsec;
}

// A file that never had a name (O_TMPFILE) may still be given one by linkat(2), which a deleted one may not.
// The kernel calls it by its inode number (fs/dcache.c:d_mark_tmpfile()).
bool never_had_name(const pb::File& file) {
  return file.path().path().ends_with(fmt::format("/#{}", file.inode().number()));
}

Result<void> take_attributes(int fd, pb::GhostFile& ghost) {
  // Most have none, or one that a security module made up.
  std::array<char, 256> few;
  ssize_t len = ::flistxattr(fd, few.data(), few.size());
  if (len == 0) return {};
  // Leads to the ghost also where that was opened with O_PATH.
  const std::string path = fmt::format("/proc/self/fd/{}", fd);
  std::string names;
  if (len > 0) {
    names.assign(few.data(), static_cast<std::size_t>(len));
  } else {
    names.resize(65536);  // XATTR_LIST_MAX
    len = ::listxattr(path.c_str(), names.data(), names.size());
  }
  if (len < 0 && (errno == EOPNOTSUPP || errno == ENOSYS)) return {};
  if (len < 0) return fail(Error::system("listxattr"));
  names.resize(static_cast<std::size_t>(len));
  for (std::size_t at = 0; at < names.size();) {
    std::string name(names.c_str() + at);
    at += name.size() + 1;
    if (!travels(name)) continue;
    std::string value(kMaxValueBytes, 0);
    ssize_t got = ::getxattr(path.c_str(), name.c_str(), value.data(), value.size());
    if (got < 0) return fail(Error::system(fmt::format("getxattr({})", name)));
    value.resize(static_cast<std::size_t>(got));
    pb::ExtendedAttribute* attribute = ghost.add_attributes();
    attribute->set_name(name);
    attribute->set_value(value);
  }
  return {};
}

Operand ghost_times(PlanBuilder& plan, const pb::GhostFile& ghost) {
  struct {
    std::int64_t seconds, ns;
  } times[2];
  const std::int64_t wanted[2] = {ghost.atime_ns(), ghost.mtime_ns()};
  for (int i = 0; i < 2; i++) {  // before 1970 the seconds round down
    times[i].ns = (wanted[i] % kSecond + kSecond) % kSecond;
    times[i].seconds = (wanted[i] - times[i].ns) / kSecond;
  }
  return Operand::data(plan.bytes_of(times));
}

Result<void> make_link(PlanBuilder& plan, const pb::FileObject& object, const pb::GhostFile& ghost,
                       Operand path) {
  if (ghost.target().empty() || ghost.target().size() >= PATH_MAX ||
      ghost.target().find('\0') != std::string::npos)
    return fail(Error::bad_image("deleted symbolic link: bad target"));
  plan.undo_call(plan.call(kSelf, SYS_symlinkat, {Operand::data(plan.text(ghost.target())), AT_FDCWD, path},
                           "deleted symbolic link"),
                 SYS_unlink, {path});
  plan.call(kSelf, SYS_fchownat, {AT_FDCWD, path, ghost.uid(), ghost.gid(), AT_SYMLINK_NOFOLLOW});
  plan.call(kSelf, SYS_utimensat, {AT_FDCWD, path, ghost_times(plan, ghost), AT_SYMLINK_NOFOLLOW}, "times");
  OpId fd = plan.call(kSelf, SYS_openat, {AT_FDCWD, path, O_PATH | O_NOFOLLOW | O_CLOEXEC});
  plan.set_object(object.id(), Operand::result(fd));
  return {};
}

// A socket or device that was opened with O_PATH only: nobody has more of it than its place.
void make_node(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object,
               const pb::GhostFile& ghost, Operand path) {
  plan.undo_call(plan.call(kSelf, SYS_mknod, {path, ghost.mode(), file.inode().rdev()}, "deleted node"),
                 SYS_unlink, {path});
  plan.call(kSelf, SYS_chmod, {path, ghost.mode() & 07777});
  plan.call(kSelf, SYS_fchownat, {AT_FDCWD, path, ghost.uid(), ghost.gid(), AT_SYMLINK_NOFOLLOW});
  plan.call(kSelf, SYS_utimensat, {AT_FDCWD, path, ghost_times(plan, ghost), AT_SYMLINK_NOFOLLOW}, "times");
  OpId fd = plan.call(kSelf, SYS_openat, {AT_FDCWD, path, O_PATH | O_NOFOLLOW | O_CLOEXEC});
  plan.set_object(object.id(), Operand::result(fd));
}

bool is_node(std::uint32_t mode) {
  return S_ISSOCK(mode) || S_ISCHR(mode) || S_ISBLK(mode);
}

// Descriptions that must be opened by name, while there is one: those of another name that the file had, and
// those with O_PATH | O_NOFOLLOW, which F_GETFL shows and an opening through /proc/self/fd does not take.
void open_by_name(PlanBuilder& plan, const pb::File& first, const pb::FileObject& object, Operand path) {
  const std::string& name = first.path().path();
  for (const pb::File& file : plan.model().files.files()) {
    if (file.object_id() != object.id() || !file.path().deleted()) continue;
    const bool renamed = file.path().path() != name && directory_of(file.path().path()) == directory_of(name);
    if (!renamed && (file.flags() & (O_PATH | O_NOFOLLOW)) != (O_PATH | O_NOFOLLOW)) continue;
    Operand here = path;
    if (renamed) {
      here = Operand::data(plan.text(free_name(plan.environment(), plan.place(file.path().path()))));
      plan.undo_call(plan.call(kSelf, SYS_linkat, {AT_FDCWD, path, AT_FDCWD, here, 0}, "another name of it"),
                     SYS_unlink, {here});
    }
    OpId fd = plan.call(kSelf, SYS_openat, {AT_FDCWD, here, opening_flags(file) | O_CLOEXEC}, "file");
    if (renamed) plan.call(kSelf, SYS_unlink, {here});
    plan.set_file(file.id(), Operand::result(fd));
  }
}

}  // namespace

std::uint32_t opening_flags(const pb::File& file) {
  // O_* that only an opening takes and fcntl(F_SETFL) ignores are in f_flags; what creates or truncates never
  // is. O_TMPFILE stays there (with O_DIRECTORY as a part of it) and asks for yet another file.
  constexpr std::uint32_t kTmpfile = O_TMPFILE & ~O_DIRECTORY;
  constexpr std::uint32_t kNeverAgain = O_CREAT | O_EXCL | O_TRUNC | O_NOCTTY;
  std::uint32_t flags = file.flags() & ~kNeverAgain;
  if (flags & kTmpfile) flags &= ~std::uint32_t{O_TMPFILE};
  return flags;
}

bool can_be_ghost(std::uint32_t mode) {
  return S_ISREG(mode) || S_ISDIR(mode) || S_ISLNK(mode) || is_node(mode);
}

Result<void> take_ghost(EnrichContext& context, int fd, pb::GhostFile& ghost) {
  struct stat st;
  if (::fstat(fd, &st) != 0) return fail(Error::system("fstat"));
  ghost.set_mode(st.st_mode);
  ghost.set_uid(st.st_uid);
  ghost.set_gid(st.st_gid);
  ghost.set_mtime_ns(nanoseconds(st.st_mtim));
  ghost.set_atime_ns(nanoseconds(st.st_atim));
  if (S_ISLNK(st.st_mode)) {
    std::string target(PATH_MAX, 0);
    ssize_t len = ::readlinkat(fd, "", target.data(), target.size());
    if (len < 0) return fail(Error::system("readlinkat"));
    target.resize(static_cast<std::size_t>(len));
    ghost.set_target(target);
    return {};
  }
  if (is_node(st.st_mode)) return {};
  TRY(take_attributes(fd, ghost));
  if (!S_ISREG(st.st_mode)) return {};
  return copy_content(context, fd, st, *ghost.mutable_content());
}

Result<void> dress_ghost(PlanBuilder& plan, Operand fd, const pb::GhostFile& ghost) {
  if (ghost.attributes_size() > kMaxAttributes)
    return fail(Error::bad_image("deleted file: too many extended attributes"));
  plan.call(kSelf, SYS_fchown, {fd, ghost.uid(), ghost.gid()});
  plan.call(kSelf, SYS_fchmod, {fd, ghost.mode() & 07777});
  for (const pb::ExtendedAttribute& attribute : ghost.attributes()) {
    const std::string& name = attribute.name();
    if (!travels(name) || name.size() > kMaxNameBytes || name.find('\0') != std::string::npos ||
        attribute.value().size() > kMaxValueBytes)
      return fail(Error::bad_image("deleted file: bad extended attribute"));
    DataId value = plan.data(std::as_bytes(std::span(attribute.value())));
    plan.call(kSelf, SYS_fsetxattr,
              {fd, Operand::data(plan.text(name)), Operand::data(value), attribute.value().size(), 0},
              "extended attribute");
  }
  return {};
}

void set_ghost_times(PlanBuilder& plan, Operand fd, const pb::GhostFile& ghost) {
  plan.call(kSelf, SYS_utimensat, {fd, 0, ghost_times(plan, ghost), 0}, "times");
}

Result<void> make_ghost(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object,
                        const pb::GhostFile& ghost) {
  if (file.path().path().empty() || file.path().path().front() != '/')
    return fail(Error::bad_image("deleted file: its path is not absolute"));
  if (!can_be_ghost(ghost.mode()) || S_ISDIR(ghost.mode()))
    return fail(Error::bad_image(fmt::format("deleted file: bad mode {:o}", ghost.mode())));
  const std::string name = free_name(plan.environment(), plan.place(file.path().path()));
  const Operand path = Operand::data(plan.text(name));
  const Operand directory = Operand::data(plan.text(directory_of(name)));
  if (S_ISREG(ghost.mode()) && never_had_name(file)) {
    OpId fd = plan.call(kSelf, SYS_openat, {AT_FDCWD, directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600},
                        "file without a name");
    plan.set_object(object.id(), Operand::result(fd));
  } else {
    DirectoryTimes times(plan, directory);
    if (S_ISLNK(ghost.mode())) {
      TRY(make_link(plan, object, ghost, path));
    } else if (is_node(ghost.mode())) {
      make_node(plan, file, object, ghost, path);
    } else {
      OpId fd = plan.call(kSelf, SYS_openat, {AT_FDCWD, path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600},
                          "deleted file");
      plan.undo_call(fd, SYS_unlink, {path});
      plan.set_object(object.id(), Operand::result(fd));
    }
    open_by_name(plan, file, object, path);
    plan.call(kSelf, SYS_unlink, {path});
    times.put_back();
  }
  if (!S_ISREG(ghost.mode())) return {};
  const Operand fd = *plan.object(object.id());
  plan.fill(fd, ghost.content());
  TRY(dress_ghost(plan, fd, ghost));
  // An executable cannot run while somebody has it open for writing (ETXTBSY); nor can a lease be taken.
  OpId readable = plan.reopen(fd, O_RDONLY);
  plan.call(kSelf, SYS_close, {fd});
  plan.set_object(object.id(), Operand::result(readable));
  return {};
}

}  // namespace bpfckpt::kinds
