// SPDX-License-Identifier: Apache-2.0
#include "kinds/marks.h"

#include <sys/sysmacros.h>

#include <map>
#include <utility>

#include "bpf/records.h"
#include "kinds/mounts.h"

namespace bpfckpt::kinds {

extern const Watcher kInotifyWatcher, kFanotifyWatcher;

namespace {

// Descriptions in somebody's table, by device and inode number.
class Openers {
 public:
  explicit Openers(const Model& model) {
    ModelIndex index(model);
    for (const pb::FdTable& table : model.files.tables())
      for (const pb::FdEntry& entry : table.entries())
        // What has lost its name and can be made again has an object.
        if (const pb::File* file = index.file(entry.file_id()); file != nullptr && file->object_id() != 0)
          files_.try_emplace({file->inode().device(), file->inode().number()}, file->id());
  }

  std::uint32_t find(const pb::MarkTarget& target) const {
    auto it = files_.find({target.device(), target.number()});
    return it == files_.end() ? 0 : it->second;
  }

 private:
  std::map<std::pair<std::uint32_t, std::uint64_t>, std::uint32_t> files_;
};

void look_up(pb::MarkTarget& target, const Mounts& mounts, const Openers& openers) {
  target.set_looked_up(true);
  if (!target.path().empty() || target.type() != pb::MARK_INODE) return mounts.look_up(target);
  target.set_file_id(openers.find(target));
  if (target.file_id() != 0) target.clear_unnamed();
}

const char* unnamed(const mark_record& mark) {
  switch (mark.name) {
    case MARK_NAME_UNLINKED:
      return "its name was removed, and no descriptor of the tree leads to it";
    case MARK_NAME_CUT:
      return "its path is too long, or does not lead to a root";
    default:
      return "the kernel's cache has no name for it any more; it has one again when somebody looks at it by "
             "name";
  }
}

}  // namespace

const Watcher* find_watcher(std::string_view kind) {
  for (const Watcher* watcher : {&kInotifyWatcher, &kFanotifyWatcher})
    if (watcher->name == kind) return watcher;
  return nullptr;
}

Result<void> look_up_targets(Model& model) {
  std::vector<std::pair<pb::File*, const Watcher*>> files;
  for (pb::File& file : *model.files.mutable_files())
    if (const Watcher* watcher = find_watcher(file.kind())) files.emplace_back(&file, watcher);
  if (files.empty()) return {};
  TRY_ASSIGN(const Mounts mounts, Mounts::read());
  const Openers openers(model);
  for (auto& [file, watcher] : files)
    TRY(watcher->for_each_target(*file, [&](pb::MarkTarget& target) { look_up(target, mounts, openers); }));
  return {};
}

namespace {

// Cuts the last component off, which comes first.
std::string_view take_component(std::string_view& names) {
  const std::size_t end = std::min(names.find('\0'), names.size());
  const std::string_view component = names.substr(0, end);
  names.remove_prefix(std::min(end + 1, names.size()));
  return component;
}

std::string to_directory(std::string_view names) {
  std::string path;
  path.reserve(names.size());
  while (!names.empty()) {
    if (names.back() == '\0') names.remove_suffix(1);
    const std::size_t begin = names.rfind('\0') + 1;
    path += '/';
    path += names.substr(begin);
    names = names.substr(0, begin);
  }
  return path;
}

}  // namespace

Result<Marks> to_marks(std::span<const record_head* const> items) {
  Marks marks;
  marks.marks.reserve(items.size());
  for (const record_head* head : items) {
    if (head->type != RECORD_MARK || head->length < sizeof(mark_record))
      return fail(Error::bug("a mark's record of another type"));
    const auto* record = reinterpret_cast<const mark_record*>(head);
    if (record->name_bytes > head->length - sizeof(mark_record))
      return fail(Error::bug("a mark's name is longer than its record"));
    std::string_view names(reinterpret_cast<const char*>(record + 1), record->name_bytes);
    Mark mark{.record = record};
    if (record->name == MARK_NAME_WHOLE || record->name == MARK_NAME_BESIDE)
      mark.name = take_component(names);
    if (record->name == MARK_NAME_WHOLE) marks.directories.push_back(to_directory(names));
    if (mark.name.data() != nullptr) {
      if (marks.directories.empty()) return fail(Error::bug("a mark beside none"));
      mark.directory = &marks.directories.back();
    }
    marks.marks.push_back(mark);
  }
  return marks;
}

pb::MarkTarget to_target(const Mark& mark) {
  const mark_record& record = *mark.record;
  pb::MarkTarget target;
  target.set_type(static_cast<pb::MarkType>(record.object));  // enum fsnotify_obj_type has the same numbers
  target.set_number(record.number);
  target.set_device(record.device);
  target.set_mode(record.mode);
  target.set_mount_id(record.mount_id);
  if (target.type() != pb::MARK_INODE) return target;
  if (mark.directory == nullptr) {
    target.set_unnamed(unnamed(record));
    return target;
  }
  std::string& path = *target.mutable_path();
  path.reserve(mark.directory->size() + 1 + mark.name.size());
  path = *mark.directory;
  path += '/';
  path += mark.name;
  return target;
}

Result<std::string> path_to(const pb::MarkTarget& target, const Installed& installed) {
  if (target.file_id() != 0) {
    std::span<const Installed::Place> places = installed.places(target.file_id());
    if (places.empty()) return fail(Error::bad_image(fmt::format("nobody has file {}", target.file_id())));
    return fmt::format("/proc/{}/fd/{}", places.front().pid, places.front().fd);
  }
  if (!target.path().starts_with('/') || !target.looked_up() || target.path().find('\0') != std::string::npos)
    return fail(Error::bad_image("the target has no path"));
  return target.path();
}

Finding judge_target(const pb::MarkTarget& target, const std::string& what) {
  if (!target.looked_up() || target.file_id() != 0 || target.unnamed().empty()) return {};
  std::string on = target.type() == pb::MARK_MOUNT         ? fmt::format("mount {}", target.mount_id())
                   : target.type() == pb::MARK_FILE_SYSTEM ? std::string("the whole")
                                                           : fmt::format("inode {}", target.number());
  if (target.type() != pb::MARK_MOUNT)
    on += fmt::format(" of file system {}:{}", major(target.device()), minor(target.device()));
  return {Verdict::Unsupported,
          target.unnamed().ends_with(Mounts::kDenied) ? kWatchedUnseen : kWatchedUnnamed,
          fmt::format("{} is on {}: {}", what, on, target.unnamed()), ""};
}

Finding judge_unread(std::uint32_t events) {
  if (events == 0) return {};
  return {Verdict::Ok, "events-lost",
          fmt::format("{} event{} that {} not read yet will be lost", events, events == 1 ? "" : "s",
                      events == 1 ? "was" : "were"),
          ""};
}

}  // namespace bpfckpt::kinds
