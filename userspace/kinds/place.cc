// SPDX-License-Identifier: Apache-2.0
#include "kinds/place.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "bpf/records.h"
#include "images/kinds/regular.pb.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {

void describe_ghost(const file_record& record, pb::FileObject& object) {
  pb::GhostFile ghost;
  ghost.set_mode(record.inode.mode);
  ghost.set_uid(record.inode.uid);
  ghost.set_gid(record.inode.gid);
  ghost.set_mtime_ns(record.inode.mtime_ns);
  object.mutable_detail()->PackFrom(ghost);
}

Result<void> make_place(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object) {
  TRY_ASSIGN(pb::GhostFile ghost, unpack<pb::GhostFile>(object.detail(), "deleted file"));
  DataId path = plan.text(free_name(plan.environment(), file.path().path()));
  switch (ghost.mode() & S_IFMT) {
    case S_IFLNK:
      plan.undo_call(
          plan.call(kSelf, SYS_symlink, {Operand::data(plan.text(ghost.target())), Operand::data(path)},
                    "deleted symbolic link"),
          SYS_unlink, {Operand::data(path)});
      break;
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
      plan.undo_call(plan.call(kSelf, SYS_mknod, {Operand::data(path), ghost.mode(), file.inode().rdev()},
                               "deleted node"),
                     SYS_unlink, {Operand::data(path)});
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

Result<void> plan_device(PlanBuilder& plan, const pb::File& file, const pb::FileObject* object) {
  std::uint32_t flags = file.flags() | O_CLOEXEC | O_NOCTTY;
  // Of null, zero and full, which never signal, an opening alone sets O_ASYNC; with any other device that
  // would keep fcntl(2) from switching it on.
  const unsigned number = minor(file.inode().rdev());
  bool silent = major(file.inode().rdev()) == 1 && (number == 3 || number == 5 || number == 7);
  if (!silent) flags &= ~static_cast<std::uint32_t>(O_ASYNC);
  OpId fd = 0;
  if (object != nullptr) {
    TRY_ASSIGN(Operand made, plan_object(plan, file, *object));
    fd = plan.reopen(made, flags, "file");
  } else {
    fd =
        plan.call(kSelf, SYS_openat, {AT_FDCWD, Operand::data(plan.text(file.path().path())), flags}, "file");
  }
  if (file.position() != 0)
    // /dev/null answers 0 whatever is asked (drivers/char/mem.c:null_lseek()), others know no position.
    plan.try_call(kSelf, SYS_lseek, {Operand::result(fd), file.position(), SEEK_SET}, "position of file");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

}  // namespace bpfckpt::kinds
