// SPDX-License-Identifier: Apache-2.0
// What no kind recognised: refused, under the name that the kernel gives it.
#include <linux/magic.h>
#include <sys/stat.h>

#include "bpf/records.h"
#include "kinds/kind.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {
namespace {

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  std::string name(record.name, ::strnlen(record.name, sizeof record.name));
  switch (record.inode.mode & S_IFMT) {
    case S_IFSOCK:
      file.set_operations("socket");
      break;
    case S_IFBLK:
      file.set_operations("block device");
      break;
    default:
      file.set_operations(record.inode.magic == ANON_INODE_FS_MAGIC
                              ? "anon_inode:" + name
                              : fmt::format("{} (file system {:#x})", name, record.inode.magic));
  }
  return {};
}

Result<void> plan(PlanBuilder&, const pb::File& file, const pb::FileObject*) {
  return fail(Error::bad_image(fmt::format("a file of an unsupported kind: {}", file.operations())));
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  return {Verdict::Unsupported, "unsupported-file", fmt::format("{} is not supported yet", file.operations()),
          ""};
}

}  // namespace

extern const Kind kUnsupported = {
    .name = "unsupported",
    .kept = "nothing: what no other row names",
    .not_kept = "everything",
    .refused = "always, under the name that the kernel gives it; `--external` leaves it to `--inherit-fd`",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose,
};

}  // namespace bpfckpt::kinds
