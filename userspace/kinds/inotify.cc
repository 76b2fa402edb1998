// SPDX-License-Identifier: Apache-2.0
// inotify instances.
//
// A watch is a mark on an inode; how that was named is no part of it (kinds/marks.h says how a name is
// found). Watches are made again by name, with the numbers that they had: the kernel gives numbers one after
// the other, and INOTIFY_IOC_SETNEXTWD says where to go on (since 4.16, CONFIG_CHECKPOINT_RESTORE); so the
// next new watch gets the number that it would have got.
//
// That is done last of all: what else a restore opens, reads and closes would be told to the program. Kept:
// watches, numbers, masks, where the numbers go on. Not kept: events that were not read yet, and what
// happened between dump and restore (diagnose tells of the former); the user whom watches are counted
// against, which is bpfckpt's. A dump makes no events either, but for one thing: it reads deleted files,
// which travel with it.
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <algorithm>
#include <climits>

#include "bpf/records.h"
#include "images/kinds/inotify.pb.h"
#include "kinds/marks.h"
#include "kinds/objects.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint32_t kKept = IN_ALL_EVENTS | IN_ONESHOT | IN_EXCL_UNLINK;
// Flags of a mark (include/linux/fsnotify_backend.h, since 5.19).
constexpr std::uint32_t kMarkExcludeUnlinked = 0x10, kMarkOneShot = 0x20;
constexpr auto kSetNextWd = _IOW('I', 0, std::int32_t);  // include/uapi/linux/inotify.h

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  pb::Inotify inotify;
  inotify.set_next_wd(record.detail.inotify.next_wd);
  inotify.set_unread_events(record.detail.inotify.unread);
  pack(inotify, *file.mutable_detail());
  return {};
}

// Both are among the events up to 5.18 ("inotify: move control flags from mask to mark flags").
std::uint32_t mask_of(const mark_record& mark) {
  std::uint32_t mask = mark.mask & kKept;
  if ((mark.mark_flags & kMarkExcludeUnlinked) != 0) mask |= IN_EXCL_UNLINK;
  if ((mark.mark_flags & kMarkOneShot) != 0) mask |= IN_ONESHOT;
  return mask;
}

Result<void> add_items(std::span<const record_head* const> items, const FileIds&, pb::File& file) {
  TRY_ASSIGN(pb::Inotify inotify, unpack<pb::Inotify>(file.detail(), "inotify"));
  TRY_ASSIGN(Marks marks, to_marks(items));
  std::ranges::sort(marks.marks, {}, [](const Mark& mark) { return mark.record->wd; });
  inotify.mutable_watches()->Reserve(static_cast<int>(marks.marks.size()));
  for (const Mark& one : marks.marks) {
    const mark_record* mark = one.record;
    if (mark->object != 0 /* FSNOTIFY_OBJ_TYPE_INODE */ || mark->wd < 1) continue;  // just going away
    pb::InotifyWatch& watch = *inotify.add_watches();
    watch.set_wd(mark->wd);
    watch.set_mask(mask_of(*mark));
    *watch.mutable_target() = to_target(one);
  }
  pack(inotify, *file.mutable_detail());
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  OpId fd = plan.call(kSelf, SYS_inotify_init1, {IN_CLOEXEC | (file.flags() & IN_NONBLOCK)}, "inotify");
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto inotify = unpack<pb::Inotify>(file.detail(), "inotify");
  if (!inotify) return {};
  for (const pb::InotifyWatch& watch : inotify->watches())
    if (Finding finding = judge_target(watch.target(), fmt::format("watch {}", watch.wd()));
        finding.verdict != Verdict::Ok)
      return finding;
  return judge_unread(inotify->unread_events());
}

// Adds one watch with its number; `next` is what the kernel would give.
Result<void> plan_watch(PlanBuilder& plan, Operand fd, const pb::InotifyWatch& watch,
                        const Installed& installed, std::int64_t& next) {
  if ((watch.mask() & ~kKept) != 0) return fail(Error::bad_image("a bad mask"));
  TRY_ASSIGN(std::string path, path_to(watch.target(), installed));
  std::uint32_t mask = watch.mask();
  if (watch.target().file_id() == 0) mask |= IN_DONT_FOLLOW;
  if (S_ISDIR(watch.target().mode())) mask |= IN_ONLYDIR;
  if (mask == 0) mask = IN_MASK_ADD;  // the call wants some bit, and a new watch has nothing to add to
  if (watch.wd() != next) plan.call(kSelf, SYS_ioctl, {fd, kSetNextWd, watch.wd()});
  plan.call_expecting(kSelf, static_cast<std::uint64_t>(watch.wd()), SYS_inotify_add_watch,
                      {fd, Operand::data(plan.text(path)), mask}, "watch");
  next = std::int64_t{watch.wd()} + 1;
  return {};
}

Result<void> for_each_target(pb::File& file, const Watcher::Visit& visit) {
  TRY_ASSIGN(pb::Inotify inotify, unpack<pb::Inotify>(file.detail(), "inotify"));
  for (pb::InotifyWatch& watch : *inotify.mutable_watches()) visit(*watch.mutable_target());
  pack(inotify, *file.mutable_detail());
  return {};
}

Result<void> plan_marks(PlanBuilder& plan, const pb::File& file, const Installed& installed, Operand fd) {
  TRY_ASSIGN(pb::Inotify inotify, unpack<pb::Inotify>(file.detail(), "inotify"));
  std::int64_t last = 0, next = 1;
  for (const pb::InotifyWatch& watch : inotify.watches()) {
    if (watch.wd() <= last)
      return fail(Error::bad_image(fmt::format("watch {} is not in order", watch.wd())));
    last = watch.wd();
    TRY(plan_watch(plan, fd, watch, installed, next), "watch {}", watch.wd());
  }
  // Behind the largest number the kernel begins from 1.
  const std::uint32_t wanted = inotify.next_wd() > INT_MAX ? 1 : inotify.next_wd();
  if (wanted != 0 && wanted != next)
    plan.call(kSelf, SYS_ioctl, {fd, kSetNextWd, wanted}, "the next watch's number");
  return {};
}

}  // namespace

extern const Kind kInotify = {
    .name = "inotify",
    .kept = "watches with their numbers, the next number to be given, masks; flags",
    .not_kept = "events that were not read (diagnose tells how many)",
    .refused = "a target that has no name any more and that no descriptor of the tree leads to",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose,
    .add_items = add_items,
};

extern const Watcher kInotifyWatcher = {
    .name = "inotify",
    .for_each_target = for_each_target,
    .plan_marks = plan_marks,
};

}  // namespace bpfckpt::kinds
