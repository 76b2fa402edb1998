// SPDX-License-Identifier: Apache-2.0
// Character devices without state of their own: null, zero, full, random, urandom.
//
// They are opened by name again; that the name still leads to the same device is checked before anything is
// made. Any other device is refused by its number: its driver may keep anything.
#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>

#include "bpf/records.h"
#include "kinds/kind.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {
namespace {

// Documentation/admin-guide/devices.txt, major 1.
constexpr unsigned kMemoryMajor = 1;
constexpr unsigned kStateless[] = {3 /*null*/, 5 /*zero*/, 7 /*full*/, 8 /*random*/, 9 /*urandom*/};

Result<void> describe(const file_record&, pb::File&, pb::FileObject*) {
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  OpId fd = plan.call(
      kSelf, SYS_openat,
      {AT_FDCWD, Operand::data(plan.text(file.path().path())), file.flags() | O_CLOEXEC | O_NOCTTY}, "file");
  if (file.position() != 0)
    // /dev/null answers 0 whatever is asked (drivers/char/mem.c:null_lseek()).
    plan.try_call(kSelf, SYS_lseek, {Operand::result(fd), file.position(), SEEK_SET}, "position of file");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  unsigned rdev_major = major(file.inode().rdev()), rdev_minor = minor(file.inode().rdev());
  if (file.path().deleted())
    return {Verdict::Unsupported, "device-deleted", "the device node was deleted", ""};
  if (file.flags() & O_PATH) return {};  // a place, not the device
  if (rdev_major == kMemoryMajor)
    for (unsigned m : kStateless)
      if (m == rdev_minor) return {};
  return {Verdict::Unsupported, "device",
          fmt::format("character device {}:{}: what its driver keeps is not known", rdev_major, rdev_minor),
          ""};
}

}  // namespace

extern const Kind kChardev = {
    .name = "chardev",
    .kept = "null, zero, full, random, urandom: name, flags",
    .not_kept = "state of a driver",
    .refused = "every other device",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose,
};

}  // namespace bpfckpt::kinds
