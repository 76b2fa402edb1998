// SPDX-License-Identifier: Apache-2.0
// Terminals that lead outside of the tree: the caller's terminal takes their place (--shell-job), or a
// descriptor that the caller gives (--inherit-fd tty[rdev:dev]). Not kept: settings and window size of a
// terminal that is not ours.
#include <fcntl.h>
#include <sys/syscall.h>

#include "bpf/records.h"
#include "kinds/kind.h"
#include "kinds/policy.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint32_t kPtyMaster = 1;

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  if (record.detail.tty.subtype == kPtyMaster) file.set_operations("pty master");
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  int terminal = plan.environment().caller_terminal();
  if (terminal < 0)
    return fail(Error::conflict("it was a terminal, and bpfckpt has none to give (--inherit-fd gives one)"));
  OpId fd = plan.reopen(
      terminal, (file.flags() & ~static_cast<std::uint32_t>(O_CREAT | O_ASYNC)) | O_CLOEXEC | O_NOCTTY,
      "terminal for file");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy& policy) {
  if (file.operations() == "pty master")
    return {Verdict::Unsupported, "pty-master", "the master end of a pseudo terminal is not supported yet",
            ""};
  if (!policy.shell_job)
    return {Verdict::NeedsOption, "tty-outside", "a terminal that leads outside of the tree", "--shell-job"};
  return {};
}

}  // namespace

extern const Kind kTty = {
    .name = "tty",
    .kept = "that it is the terminal of the caller, or one that `--inherit-fd` gives; flags",
    .not_kept = "settings, window size",
    .refused = "a terminal outside of the tree: `--shell-job`; the master end of a pseudo terminal",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose,
};

}  // namespace bpfckpt::kinds
