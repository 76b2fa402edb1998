// SPDX-License-Identifier: Apache-2.0
// fanotify groups.
//
// A group has the flags of fanotify_init(2) and marks: on inodes (kinds/marks.h says how a name is found for
// them), on mounts and on whole file systems, each with what is to be told and what is to be ignored. They
// are made again last of all, as inotify's watches are. Kept: flags, marks with their masks. Not kept: events
// that were not read yet, and what happened between dump and restore; the user whom the group is counted
// against. What bpfckpt does when the marks are there, closing its images for one, is told to a group that
// watches the mount where they are.
//
// Refused: groups that decide on accesses. While the program is stopped, whoever opens a file that it decides
// on waits for the answer, and so would bpfckpt. A group that was made without CAP_SYS_ADMIN would be told
// more than before when bpfckpt has made it.
#include <fcntl.h>
#include <sys/fanotify.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "bpf/records.h"
#include "images/kinds/fanotify.pb.h"
#include "kinds/marks.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

// Flags of a mark (include/linux/fsnotify_backend.h, since 6.0) and what fanotify_mark(2) calls them.
struct Flag {
  std::uint32_t kernel, user;
};
constexpr Flag kFlags[] = {
    {0x100, FAN_MARK_IGNORED_SURV_MODIFY}, {0x200, FAN_MARK_EVICTABLE}, {0x400, FAN_MARK_IGNORE}};

constexpr std::uint32_t kUnprivileged = 0x80000000;  // FANOTIFY_UNPRIV
constexpr std::uint32_t kPreAccess = 0x00100000;     // FAN_PRE_ACCESS, since 6.14
constexpr std::uint32_t kPermissions = FAN_OPEN_PERM | FAN_ACCESS_PERM | FAN_OPEN_EXEC_PERM | kPreAccess;

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  pb::Fanotify fanotify;
  fanotify.set_init_flags(record.detail.fanotify.init_flags);
  fanotify.set_event_flags(record.detail.fanotify.event_flags);
  fanotify.set_unread_events(record.detail.fanotify.unread);
  fanotify.set_unanswered(record.detail.fanotify.unanswered);
  file.mutable_detail()->PackFrom(fanotify);
  return {};
}

Result<void> add_items(std::span<const record_head* const> items, const FileIds&, pb::File& file) {
  TRY_ASSIGN(pb::Fanotify fanotify, unpack<pb::Fanotify>(file.detail(), "fanotify"));
  TRY_ASSIGN(Marks marks, to_marks(items));
  for (const Mark& one : marks.marks) {
    const mark_record* record = one.record;
    pb::FanotifyMark& mark = *fanotify.add_marks();
    mark.set_mask(record->mask);
    mark.set_ignored(record->ignore_mask);
    std::uint32_t flags = 0;
    for (const Flag& flag : kFlags)
      if ((record->mark_flags & flag.kernel) != 0) flags |= flag.user;
    mark.set_flags(flags);
    *mark.mutable_target() = to_target(one);
  }
  file.mutable_detail()->PackFrom(fanotify);
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(pb::Fanotify fanotify, unpack<pb::Fanotify>(file.detail(), "fanotify"));
  if ((fanotify.init_flags() & kUnprivileged) != 0 || fanotify.unanswered() != 0)
    return fail(Error::bad_image("a fanotify group of a sort that is never taken"));
  // With the flags as they were, FAN_CLOEXEC among them: fdinfo shows them.
  OpId fd = plan.call(kSelf, SYS_fanotify_init, {fanotify.init_flags(), fanotify.event_flags()}, "fanotify");
  plan.call(kSelf, SYS_fcntl, {Operand::result(fd), F_SETFL, file.flags() & ~std::uint32_t{O_ACCMODE}});
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

bool decides(const pb::Fanotify& fanotify) {
  if (fanotify.unanswered() != 0) return true;
  for (const pb::FanotifyMark& mark : fanotify.marks())
    if (((mark.mask() | mark.ignored()) & kPermissions) != 0) return true;
  return false;
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto fanotify = unpack<pb::Fanotify>(file.detail(), "fanotify");
  if (!fanotify) return {};
  if (decides(*fanotify))
    return {
        Verdict::Unsupported, "fanotify-permission",
        "it decides on accesses to files: whoever asks would wait until it runs again, and so would bpfckpt",
        ""};
  if ((fanotify->init_flags() & kUnprivileged) != 0)
    return {Verdict::Unsupported, "fanotify-unprivileged",
            "it was made without CAP_SYS_ADMIN, and would be told more than before", ""};
  for (const pb::FanotifyMark& mark : fanotify->marks()) {
    if (mark.target().type() < pb::MARK_INODE || mark.target().type() > pb::MARK_FILE_SYSTEM)
      return {Verdict::Unsupported, "fanotify-mark",
              fmt::format("a mark of type {} cannot be made again", static_cast<int>(mark.target().type())),
              ""};
    if (Finding finding = judge_target(mark.target(), "a mark"); finding.verdict != Verdict::Ok)
      return finding;
  }
  return judge_unread(fanotify->unread_events());
}

Result<void> for_each_target(pb::File& file, const Watcher::Visit& visit) {
  TRY_ASSIGN(pb::Fanotify fanotify, unpack<pb::Fanotify>(file.detail(), "fanotify"));
  for (pb::FanotifyMark& mark : *fanotify.mutable_marks()) visit(*mark.mutable_target());
  file.mutable_detail()->PackFrom(fanotify);
  return {};
}

Result<void> plan_mark(PlanBuilder& plan, Operand fd, const pb::FanotifyMark& mark,
                       const Installed& installed) {
  constexpr std::uint32_t kKnown = FAN_MARK_IGNORED_SURV_MODIFY | FAN_MARK_EVICTABLE | FAN_MARK_IGNORE;
  if ((mark.flags() & ~kKnown) != 0 || ((mark.mask() | mark.ignored()) & kPermissions) != 0)
    return fail(Error::bad_image("a bad mask"));
  TRY_ASSIGN(std::string path, path_to(mark.target(), installed));
  std::uint32_t flags = FAN_MARK_ADD | (mark.flags() & FAN_MARK_EVICTABLE);
  switch (mark.target().type()) {
    case pb::MARK_INODE:
      if (mark.target().file_id() == 0) flags |= FAN_MARK_DONT_FOLLOW;
      if (S_ISDIR(mark.target().mode())) flags |= FAN_MARK_ONLYDIR;
      break;
    case pb::MARK_MOUNT:
      flags |= FAN_MARK_MOUNT;
      break;
    case pb::MARK_FILE_SYSTEM:
      flags |= FAN_MARK_FILESYSTEM;
      break;
    default:
      return fail(Error::bad_image("a mark of unknown type"));
  }
  Operand name = Operand::data(plan.text(path));
  // The ignored ones first: no event that is not wanted comes in between.
  if (mark.ignored() != 0) {
    std::uint32_t how = (mark.flags() & FAN_MARK_IGNORE) != 0 ? FAN_MARK_IGNORE : FAN_MARK_IGNORED_MASK;
    how |= mark.flags() & FAN_MARK_IGNORED_SURV_MODIFY;
    plan.call(kSelf, SYS_fanotify_mark, {fd, flags | how, mark.ignored(), AT_FDCWD, name}, "ignored");
  }
  if (mark.mask() != 0) plan.call(kSelf, SYS_fanotify_mark, {fd, flags, mark.mask(), AT_FDCWD, name}, "mark");
  return {};
}

Result<void> plan_marks(PlanBuilder& plan, const pb::File& file, const Installed& installed, Operand fd) {
  TRY_ASSIGN(pb::Fanotify fanotify, unpack<pb::Fanotify>(file.detail(), "fanotify"));
  for (int i = fanotify.marks_size(); i-- > 0;)  // the oldest first
    TRY(plan_mark(plan, fd, fanotify.marks(i), installed), "mark of {}", fanotify.marks(i).target().path());
  return {};
}

}  // namespace

extern const Kind kFanotify = {
    .name = "fanotify",
    .kept = "marks of inodes, mounts and file systems with masks and ignore masks; the flags of the group",
    .not_kept = "events that were not read (diagnose tells how many)",
    .refused =
        "a group that decides permissions; one of an unprivileged process; marks of mount namespaces; a "
        "target without a name",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose,
    .add_items = add_items,
};

extern const Watcher kFanotifyWatcher = {
    .name = "fanotify",
    .for_each_target = for_each_target,
    .plan_marks = plan_marks,
};

}  // namespace bpfckpt::kinds
