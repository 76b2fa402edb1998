// SPDX-License-Identifier: Apache-2.0
#include "kinds/memory_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/syscall.h>

#include "kinds/names.h"
#include "kinds/objects.h"
#include "model/vm_flags.h"

namespace bpfckpt::kinds {
namespace {

Result<void> plan_opening(PlanBuilder& plan, std::uint32_t file_id, bool write) {
  if (plan.mapped(file_id, write) != nullptr) return {};
  const pb::File* file = plan.index().file(file_id);
  if (file == nullptr) return fail(Error::bad_image(fmt::format("file {} does not exist", file_id)));
  plan.about(file_id);
  int access = write ? O_RDWR : O_RDONLY;
  const pb::FileObject* object = plan.index().object(file->object_id());
  OpId op = 0;
  if (object != nullptr) {
    TRY_ASSIGN(Operand made, plan_object(plan, *file, *object), "{}", describe_name(*file));
    plan.keep_object(object->id());
    // What has an anonymous inode cannot be opened again; its object's descriptor may do all.
    op = file->inode().fs_magic() == ANON_INODE_FS_MAGIC
             ? plan.call(kSelf, SYS_fcntl, {made, F_DUPFD_CLOEXEC, 0}, "file")
             : plan.reopen(made, access, "file");
  } else {
    op = plan.call(kSelf, SYS_openat,
                   {AT_FDCWD, Operand::data(plan.text(file->path().path())), access | O_CLOEXEC}, "file");
  }
  plan.about(0);
  plan.set_mapped(file_id, write, Operand::result(op));
  return {};
}

}  // namespace

bool needs_write(const pb::Vma& vma) {
  return (vma.flags() & vm::kShared) != 0 && (vma.flags() & vm::kMayWrite) != 0;
}

Result<void> plan_mapped_file(PlanBuilder& plan, const pb::Vma& vma) {
  return plan_opening(plan, vma.file_id(), needs_write(vma));
}

Result<void> plan_exe_file(PlanBuilder& plan, std::uint32_t file_id) {
  return plan_opening(plan, file_id, false);
}

const Operand* mapped_file(const PlanBuilder& plan, const pb::Vma& vma) {
  return plan.mapped(vma.file_id(), needs_write(vma));
}

const Operand* exe_file(const PlanBuilder& plan, std::uint32_t file_id) {
  return plan.mapped(file_id, false);
}

}  // namespace bpfckpt::kinds
