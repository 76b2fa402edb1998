// SPDX-License-Identifier: Apache-2.0
// Pidfds: a process or thread that is held by a descriptor.
//
// One of the tree is opened again by its number when all processes and threads exist; those that are going to
// be zombies become so later. Of one that has ended and was waited for there is nothing left but that, and on
// newer kernels how it ended: any process will do that ends in the same way. Not kept: of such a one, whether
// two descriptors were of the same process. One that lives outside of the tree is refused, and so is one
// whose process dies with the descriptor.
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <set>

#include "bpf/records.h"
#include "images/kinds/pidfd.pb.h"
#include "kinds/anonymous.h"
#include "kinds/kind.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {

extern const Kind kPidfd;

namespace {

constexpr std::uint32_t kThread = O_EXCL;     // linux/pidfd.h: PIDFD_THREAD, since 6.9
constexpr std::uint32_t kAutokill = O_TRUNC;  // PIDFD_AUTOKILL, since 7.1 ("pidfd: add CLONE_PIDFD_AUTOKILL")

// linux/pidfd.h: struct pidfd_info, since 6.13; the exit code since 6.15
struct PidfdInfo {
  std::uint64_t mask, cgroup_id;
  std::uint32_t ids[11];
  std::int32_t exit_code;
};
static_assert(sizeof(PidfdInfo) == 64);
constexpr unsigned long kGetInfo = _IOWR(0xff, 11, PidfdInfo);
constexpr std::uint64_t kInfoExit = 1 << 3;

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  pb::Pidfd pidfd;
  pidfd.set_pid(record.detail.pidfd.pid);
  pidfd.set_dead(record.detail.pidfd.dead != 0);
  file.mutable_detail()->PackFrom(pidfd);
  return {};
}

std::set<std::uint32_t> numbers_of(const Model& model) {
  std::set<std::uint32_t> numbers;
  for (const pb::Process& process : model.tasks.processes())
    for (const pb::Thread& thread : process.threads()) numbers.insert(thread.tid());
  return numbers;
}

Result<void> settle(Model& model) {
  std::set<std::uint32_t> numbers;
  for (pb::File& file : *model.files.mutable_files()) {
    if (file.kind() != kPidfd.name) continue;
    if (numbers.empty()) numbers = numbers_of(model);
    TRY_ASSIGN(pb::Pidfd pidfd, unpack<pb::Pidfd>(file.detail(), "pidfd"));
    pidfd.set_outside(!pidfd.dead() && !numbers.contains(pidfd.pid()));
    file.mutable_detail()->PackFrom(pidfd);
  }
  return {};
}

// How it ended no record says.
Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject*) {
  TRY_ASSIGN(pb::Pidfd pidfd, unpack<pb::Pidfd>(file.detail(), "pidfd"));
  if (!pidfd.dead()) return {};
  TRY_ASSIGN(Fd fd, context.borrow(file));
  PidfdInfo info{};
  info.mask = kInfoExit;
  if (::ioctl(fd.get(), kGetInfo, &info) == 0 && (info.mask & kInfoExit) != 0)
    pidfd.set_exit_status(static_cast<std::uint32_t>(info.exit_code));
  file.mutable_detail()->PackFrom(pidfd);
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(pb::Pidfd pidfd, unpack<pb::Pidfd>(file.detail(), "pidfd"));
  std::uint32_t flags = file.flags() & (O_NONBLOCK | kThread);
  OpId fd = 0;
  if (pidfd.dead()) {
    if (pidfd.exit_status() > 0xffff)
      return fail(Error::bad_image(fmt::format("pidfd: exit status {:#x}", pidfd.exit_status())));
    fd = plan.op(Op::Code::DeadProcess, kSelf, {pidfd.exit_status(), flags}, "pidfd");
  } else {
    if (file.flags() & kAutokill) return fail(Error::bad_image("pidfd: its process dies with it"));
    // Not a number of this machine's, whoever that might be.
    if ((flags & kThread) == 0 ? plan.index().process(pidfd.pid()) == nullptr
                               : !numbers_of(plan.model()).contains(pidfd.pid()))
      return fail(Error::bad_image(fmt::format("pidfd: {} is not of the tree", pidfd.pid())));
    fd = plan.call(kSelf, SYS_pidfd_open, {pidfd.pid(), flags}, "pidfd");
  }
  plan_anonymous(plan, file, fd, flags);
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto pidfd = unpack<pb::Pidfd>(file.detail(), "pidfd");
  if (pidfd && !pidfd->dead() && (file.flags() & kAutokill) != 0)
    return {Verdict::Unsupported, "pidfd-autokill",
            fmt::format("process {} dies with it (CLONE_PIDFD_AUTOKILL), which only clone3(2) arranges",
                        pidfd->pid()),
            ""};
  if (pidfd && pidfd->outside())
    return {Verdict::Unsupported, "pidfd-outside",
            pidfd->pid() == 0
                ? "a pidfd of a process of another pid namespace"
                : fmt::format("a pidfd of process {}, which is outside of the tree", pidfd->pid()),
            ""};
  return {};
}

}  // namespace

extern const Kind kPidfd = {
    .name = "pidfd",
    .kept =
        "of processes and threads of the tree, zombies among them: which one; of one that was waited for: "
        "that, and how it ended where the kernel tells",
    .not_kept = "of one that was waited for: whether two descriptors were of the same process",
    .refused = "a process outside of the tree; one that dies with the descriptor",
    .describe = describe,
    .enrich = enrich,
    .plan = plan,
    .diagnose = diagnose,
    .settle = settle,
};

}  // namespace bpfckpt::kinds
