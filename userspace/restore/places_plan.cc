// SPDX-License-Identifier: Apache-2.0
// Directories that were removed, and what was deleted in them.
//
// A process stands in a removed directory, has it open, or has a file open that was deleted in it before.
// They hang together: ".." leads from one to the next, and d_path() names them by it. So all of them are made
// in one go, outer ones first, while their names are there; then the names go, inner ones first. What lies in
// between and nobody has is made for that moment only.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include <memory>

#include "kinds/ghost_file.h"
#include "kinds/names.h"
#include "kinds/objects.h"
#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

class PlacesPlanner {
 public:
  explicit PlacesPlanner(Planning& planning) : planning_(planning), plan_(planning.plan) {}

  Result<void> run() {
    TRY(find_directories());
    TRY(find_inhabitants());
    if (directories_.empty()) return {};
    plan_.phase("directories that are gone", true);
    for (auto& [path, directory] : directories_) TRY(make(path, directory), "{}", path);
    for (const pb::File* file : inhabitants_) {
      plan_.about(file->id());
      const pb::FileObject* object = plan_.index().object(file->object_id());
      TRY(kinds::plan_object(plan_, *file, *object), "{}", kinds::describe_name(*file));
      plan_.keep_object(object->id());
    }
    plan_.about(0);
    for (auto it = directories_.rbegin(); it != directories_.rend(); ++it)
      plan_.call(kSelf, SYS_rmdir, {it->second.there});
    for (auto& [path, directory] : directories_) finish(directory);
    for (auto& times : parents_) times->put_back();
    return {};
  }

 private:
  struct Directory {
    std::vector<const pb::File*> files;  // one for each object
    std::vector<const pb::Path*> working;
    std::string name;  // where it is made
    Operand there;     // the same
    std::vector<std::pair<Operand, pb::GhostFile>> made;
  };

  Operand text(const std::string& path) { return Operand::data(plan_.text(path)); }

  static Result<void> check(const std::string& path) {
    if (path.size() < 2 || path.front() != '/' || path.back() == '/')
      return fail(Error::bad_image(fmt::format("removed directory: bad path \"{}\"", path)));
    return {};
  }

  Result<void> find_directories() {
    std::set<std::uint32_t> seen;
    for (const pb::File& file : planning_.model().files.files()) {
      if (file.kind() != "regular" || !S_ISDIR(file.inode().mode())) continue;
      if (plan_.index().object(file.object_id()) == nullptr || !seen.insert(file.object_id()).second)
        continue;
      TRY(check(file.path().path()));
      directories_[file.path().path()].files.push_back(&file);
    }
    for (const pb::FsContext& fs : planning_.model().tasks.fs_contexts()) {
      if (!fs.cwd().deleted()) continue;
      TRY(check(fs.cwd().path()));
      directories_[fs.cwd().path()].working.push_back(&fs.cwd());
    }
    std::vector<std::string> known;
    for (auto& [path, directory] : directories_) known.push_back(path);
    for (const std::string& path : known) add_parents(path);
    return {};
  }

  // The name of one that was removed may be a file's by now.
  bool is_directory(const std::string& path) const {
    return plan_.environment().path_exists(path == "/" ? path : path + "/.");
  }

  // Files that were deleted in a directory that is not there.
  Result<void> find_inhabitants() {
    std::set<std::uint32_t> seen;
    for (const pb::File& file : planning_.model().files.files()) {
      const pb::FileObject* object = plan_.index().object(file.object_id());
      if (object == nullptr || !file.path().deleted() || S_ISDIR(file.inode().mode())) continue;
      if (object->detail().Is<pb::LinkedFile>()) continue;
      const std::string& path = file.path().path();
      if ((file.kind() != "regular" && file.kind() != "pipe") || path.size() < 2 || path.front() != '/')
        continue;
      if (is_directory(kinds::directory_of(path)) || !seen.insert(object->id()).second) continue;
      add_parents(path);
      inhabitants_.push_back(&file);
    }
    return {};
  }

  // Every directory above `path` that is not there.
  void add_parents(const std::string& path) {
    for (std::string up = kinds::directory_of(path); up != "/" && !is_directory(up);
         up = kinds::directory_of(up))
      directories_.try_emplace(up);
  }

  // A directory that is still known as `path` may be there, and be another one.
  Result<void> make(const std::string& path, Directory& directory) {
    directory.name = kinds::free_name(plan_.environment(), plan_.place(path));
    if (directory.name != path) plan_.move_place(path, directory.name);
    const std::string parent = kinds::directory_of(directory.name);
    if (is_directory(parent) && parents_told_.insert(parent).second)
      parents_.push_back(std::make_unique<kinds::DirectoryTimes>(plan_, text(parent)));
    directory.there = text(directory.name);
    const OpId made = plan_.call(kSelf, SYS_mkdir, {directory.there, 0700}, "removed directory");
    plan_.undo_call(made, SYS_rmdir, {directory.there});
    std::map<std::pair<std::uint32_t, std::uint64_t>, Operand> by_inode;
    for (const pb::File* file : directory.files) {
      const pb::FileObject* object = plan_.index().object(file->object_id());
      TRY_ASSIGN(pb::GhostFile ghost, kinds::unpack<pb::GhostFile>(object->detail(), "removed directory"));
      Operand fd = open(directory);
      TRY(kinds::dress_ghost(plan_, fd, ghost));
      directory.made.emplace_back(fd, ghost);
      plan_.set_object(object->id(), fd);
      plan_.keep_object(object->id());
      by_inode.emplace(std::pair{file->inode().device(), file->inode().number()}, fd);
    }
    for (const pb::Path* place : directory.working) {
      std::pair inode{place->device(), place->inode()};
      auto [it, fresh] = planning_.removed_directories.try_emplace(inode, 0);
      if (!fresh) continue;
      it->second = open(directory);
      if (!by_inode.contains(inode)) plan_.call(kSelf, SYS_fchmod, {it->second, place->mode() & 07777});
    }
    return {};
  }

  Operand open(const Directory& directory) {
    return Operand::result(plan_.call(kSelf, SYS_openat,
                                      {AT_FDCWD, text(directory.name), O_RDONLY | O_DIRECTORY | O_CLOEXEC},
                                      "removed directory"));
  }

  void finish(Directory& directory) {
    for (auto& [fd, ghost] : directory.made) kinds::set_ghost_times(plan_, fd, ghost);
  }

  Planning& planning_;
  PlanBuilder& plan_;
  std::map<std::string, Directory> directories_;  // by path: a directory comes before what is in it
  std::vector<const pb::File*> inhabitants_;
  std::vector<std::unique_ptr<kinds::DirectoryTimes>> parents_;
  std::set<std::string> parents_told_;
};

}  // namespace

Result<void> plan_removed_places(Planning& planning) {
  return PlacesPlanner(planning).run();
}

void plan_names_end(Planning& planning) {
  PlanBuilder& plan = planning.plan;
  if (plan.removed_at_end().empty()) return;
  plan.phase("names that go");
  for (const std::string& name : plan.removed_at_end()) {
    kinds::DirectoryTimes times(plan, Operand::data(plan.text(kinds::directory_of(name))));
    plan.call(kSelf, SYS_unlink, {Operand::data(plan.text(name))}, "was made by dump");
    times.put_back();
  }
}

}  // namespace bpfckpt::restore
