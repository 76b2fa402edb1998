// SPDX-License-Identifier: Apache-2.0
// How descriptor tables are filled.
//
// bpfckpt makes each file description once; every process that holds it pulls a duplicate with
// pidfd_getfd(2), so that sharing by dup(2), fork(2) or SCM_RIGHTS is sharing again. bpfckpt's own table is
// limited, so descriptions are made, pulled and closed in rounds; what hangs together (descriptions of one
// object, sockets that are connected, what is in flight between them) is in one round.
//
// pidfd_getfd() takes the lowest free number. It is known here which number that is, since a table is filled
// from empty: where it is the wanted one, nothing has to be moved.
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "kinds/kind.h"
#include "kinds/names.h"
#include "kinds/place.h"
#include "kinds/procfs.h"
#include "restore/planner.h"

namespace bpfckpt::restore {
namespace {

constexpr int kDescriptorsPerRound = 1024;

// Which numbers of one table are taken while it is being filled.
class TableModel {
 public:
  int lowest_free() {
    while (lowest_ < taken_.size() && taken_[lowest_]) lowest_++;
    return static_cast<int>(lowest_);
  }
  void take(std::size_t fd) {
    if (taken_.size() <= fd) taken_.resize(fd + 1);
    taken_[fd] = true;
  }

 private:
  std::vector<bool> taken_;
  std::size_t lowest_ = 0;
};

struct Holder {
  Actor pid;
  TableModel* table;
  const pb::FdEntry* entry;
};

// Where files are, by the tables of the model.
class InstalledFiles final : public kinds::Installed {
 public:
  InstalledFiles(const Model& model, const ModelIndex& index) : index_(index) {
    std::set<std::uint32_t> done;
    for (const pb::Process& process : model.tasks.processes()) {
      if (process.state() == pb::ZOMBIE || !done.insert(process.fd_table_id()).second) continue;
      const pb::FdTable* table = index.fd_table(process.fd_table_id());
      if (table == nullptr) continue;
      for (const pb::FdEntry& entry : table->entries()) {
        std::vector<Place>& places = places_[entry.file_id()];
        if (places.empty() || places.back().pid != process.pid())
          places.push_back({process.pid(), entry.fd()});
      }
    }
  }

  std::span<const Place> places(std::uint32_t file_id) const override {
    auto it = places_.find(file_id);
    return it == places_.end() ? std::span<const Place>() : it->second;
  }

  Occupant at(std::uint32_t pid, std::uint32_t fd) const override {
    const pb::Process* process = index_.process(pid);
    const pb::FdTable* table = process == nullptr ? nullptr : index_.fd_table(process->fd_table_id());
    if (table == nullptr) return {};
    auto it = std::ranges::lower_bound(table->entries(), fd, {}, &pb::FdEntry::fd);
    if (it == table->entries().end() || it->fd() != fd) return {};
    return {it->file_id(), it->close_on_exec()};
  }

 private:
  const ModelIndex& index_;
  std::unordered_map<std::uint32_t, std::vector<Place>> places_;
};

// Who hangs together: each id leads, by others, to one that stands for all.
class Clusters {
 public:
  std::uint32_t of(std::uint32_t id) {
    for (auto it = up_.find(id); it != up_.end(); it = up_.find(id)) {
      if (auto above = up_.find(it->second); above != up_.end()) it->second = above->second;
      id = it->second;
    }
    return id;
  }
  void join(std::uint32_t a, std::uint32_t b) {
    const std::uint32_t top_a = of(a), top_b = of(b);
    if (top_a != top_b) up_[std::max(top_a, top_b)] = std::min(top_a, top_b);
  }

 private:
  std::unordered_map<std::uint32_t, std::uint32_t> up_;
};

class FilesPlanner {
 public:
  explicit FilesPlanner(Planning& planning) : planning_(planning), plan_(planning.plan) {}

  Result<void> run() {
    find_holders();
    TRY_ASSIGN(std::vector<const pb::File*> files, in_rounds_order());
    TRY(make_inside(files));
    for (std::size_t i = 0; i < files.size();) {
      plan_.phase("files");
      int made = 0;
      std::size_t begin = i, end = i;
      const bool late = kinds::shows_descriptor(*files[i]);
      while (end < files.size() && kinds::shows_descriptor(*files[end]) == late &&
             (made < kDescriptorsPerRound || cluster_of(*files[end]) == cluster_of(*files[end - 1]))) {
        end++;
        made++;
      }
      TRY(make_all(std::span(files).subspan(begin, end - begin)));
      for (; i < end; i++) install(*files[i]);
      plan_.phase("files made");
      for (; begin < end; begin++) TRY(finish_object(*files[begin]));
      plan_.release_files();
    }
    TRY(connect(files));
    switch_async_on(files);
    return {};
  }

 private:
  // In a phase of its own: every process has every descriptor now.
  Result<void> connect(const std::vector<const pb::File*>& files) {
    plan_.phase("files connected");
    InstalledFiles installed(planning_.model(), plan_.index());
    for (const pb::File* file : files) {
      const kinds::Kind* kind = kinds::find(file->kind());
      if (kind == nullptr || kind->connect == nullptr || given_.contains(file->id())) continue;
      TRY(kind->connect(plan_, *file, installed), "file {} ({})", file->id(), kinds::describe_name(*file));
    }
    TRY(map_from_inside(files, installed));
    plan_.phase("files done");
    plan_.release_files();
    return {};
  }

  Result<void> map_from_inside(const std::vector<const pb::File*>& files, const InstalledFiles& installed) {
    std::set<const kinds::Kind*> mapping;
    for (const pb::File* file : files)
      if (const kinds::Kind* kind = kinds::find(file->kind()); kind != nullptr && kind->map_all != nullptr)
        mapping.insert(kind);
    if (mapping.empty()) return {};
    plan_.phase("files mapped");
    for (const kinds::Kind* kind : mapping) TRY(kind->map_all(plan_, installed), "{}", kind->name);
    return {};
  }

  Result<void> finish_object(const pb::File& file) {
    const pb::FileObject* object = plan_.index().object(file.object_id());
    // What is mapped as well is finished when its mappings are done with.
    if (object == nullptr || plan_.object(object->id()) == nullptr || plan_.object_kept(object->id()))
      return {};
    const kinds::Kind* kind = kinds::find(object->kind());
    if (kind == nullptr || kind->finish == nullptr || !finished_.insert(object->id()).second) return {};
    return kind->finish(plan_, file, *object);
  }

  void find_holders() {
    std::set<std::uint32_t> done;
    for (const pb::Process& process : planning_.model().tasks.processes()) {
      if (process.state() == pb::ZOMBIE || !done.insert(process.fd_table_id()).second) continue;
      const pb::FdTable* table = plan_.index().fd_table(process.fd_table_id());
      if (table == nullptr) continue;
      TableModel* model = &tables_[table->id()];
      for (const pb::FdEntry& entry : table->entries())
        holders_[entry.file_id()].push_back({process.pid(), model, &entry});
    }
  }

  // Files that somebody holds or that are in flight in such a file, in clusters of what hangs together.
  Result<std::vector<const pb::File*>> in_rounds_order() {
    const auto& all = planning_.model().files.files();
    std::vector<const pb::File*> files;
    std::unordered_set<std::uint32_t> wanted;
    auto want = [&](std::uint32_t id) {
      const pb::File* file = plan_.index().file(id);
      if (file != nullptr && wanted.insert(id).second) files.push_back(file);
    };
    for (const pb::File& file : all)
      if (holders_.contains(file.id())) want(file.id());
    std::unordered_map<std::uint32_t, std::uint32_t> first_of_object;
    for (std::size_t i = 0; i < files.size(); i++) {
      const pb::File& file = *files[i];
      if (file.object_id() != 0)
        clusters_.join(file.id(), first_of_object.try_emplace(file.object_id(), file.id()).first->second);
      const kinds::Kind* kind = kinds::find(file.kind());
      if (kind == nullptr || kind->ties == nullptr) continue;
      kinds::Ties ties;
      TRY(kind->ties(file, ties), "file {}", file.id());
      ties.with.insert(ties.with.end(), ties.carried.begin(), ties.carried.end());
      for (const std::uint32_t id : ties.with) {
        if (plan_.index().file(id) == nullptr)
          return fail(Error::bad_image(
              fmt::format("file {}: it is tied to a file {} that is not there", file.id(), id)));
        clusters_.join(file.id(), id);
        want(id);
      }
    }
    std::unordered_map<std::uint32_t, std::size_t> first_of_cluster;
    std::vector<std::pair<std::size_t, const pb::File*>> keyed;
    for (const pb::File* file : files)
      keyed.emplace_back(first_of_cluster.try_emplace(cluster_of(*file), keyed.size()).first->second, file);
    std::ranges::stable_sort(keyed, {}, &std::pair<std::size_t, const pb::File*>::first);
    files.clear();
    for (auto& [key, file] : keyed) files.push_back(file);
    // What shows a descriptor is there when that is.
    std::ranges::stable_partition(files,
                                  [](const pb::File* file) { return !kinds::shows_descriptor(*file); });
    return files;
  }

  std::uint32_t cluster_of(const pb::File& file) { return clusters_.of(file.id()); }

  // All of them, before the tables are filled: the numbers that they have meanwhile are free again.
  Result<void> make_inside(const std::vector<const pb::File*>& files) {
    std::vector<const pb::File*> made;
    plan_.phase("files made by processes");
    for (const pb::File* file : files) {
      const kinds::Kind* kind = kinds::find(file->kind());
      if (kind == nullptr || kind->make_inside == nullptr) continue;
      TRY(kind->make_inside(plan_, *file), "file {} ({})", file->id(), kinds::describe_name(*file));
      if (plan_.made_inside(file->id()) == nullptr) return fail(Error::bug("the kind made no descriptor"));
      made.push_back(file);
    }
    plan_.phase("files taken from processes");
    for (const pb::File* file : made) {
      const PlanBuilder::Inside inside = *plan_.made_inside(file->id());
      plan_.about(file->id());
      OpId ours = plan_.op(Op::Code::Fetch, kSelf, {inside.maker, inside.fd}, "file");
      plan_.call(inside.maker, SYS_close, {inside.fd});
      plan_.set_made_inside(file->id(), {kSelf, Operand::result(ours)});
    }
    plan_.about(0);
    return {};
  }

  // Those that are made together come last: what is in flight between them is there.
  Result<void> make_all(std::span<const pb::File* const> files) {
    std::map<const kinds::Kind*, std::vector<const pb::File*>> groups;
    for (const pb::File* file : files) {
      const kinds::Kind* kind = kinds::find(file->kind());
      const bool given = take_given(*file);
      if (kind != nullptr && kind->make_group != nullptr && !is_left_outside(*file))
        groups[kind].push_back(file);
      else if (!given)
        TRY(make(*file), "file {} ({})", file->id(), kinds::describe_name(*file));
      if (!given) finish_description(*file);
    }
    for (auto& [kind, group] : groups) {
      TRY(kind->make_group(plan_, group), "{}", kind->name);
      for (const pb::File* file : group) {
        if (plan_.file(file->id()) == nullptr) return fail(Error::bug("the kind made no descriptor"));
        if (!given_.contains(file->id())) finish_description(*file);
      }
    }
    return {};
  }

  bool is_left_outside(const pb::File& file) const {
    return !given_.contains(file.id()) && kinds::is_external(file, planning_.policy.external);
  }

  // Does the caller give it (--inherit-fd)?
  bool take_given(const pb::File& file) {
    plan_.about(file.id());
    for (const std::string& name : kinds::external_names(file, planning_.policy.external)) {
      auto it = planning_.policy.inherited.find(name);
      if (it == planning_.policy.inherited.end()) continue;
      OpId op = plan_.call(kSelf, SYS_fcntl, {it->second, F_DUPFD_CLOEXEC, 0}, "inherited for file");
      given_.insert(file.id());
      plan_.set_file(file.id(), Operand::result(op));
      return true;
    }
    return false;
  }

  Result<void> make(const pb::File& file) {
    plan_.about(file.id());
    const std::vector<std::string>& externals = planning_.policy.external;
    const kinds::Kind* kind = kinds::find(file.kind());
    auto plan = kind == nullptr ? nullptr : kind->plan;
    if (kinds::is_external_device(file, externals))
      plan = kinds::plan_device;
    else if (kinds::is_external(file, externals))
      return fail(Error::conflict(fmt::format("it is external and must be given: --inherit-fd fd[N]:{}",
                                              kinds::external_names(file, externals).front())));
    if (plan == nullptr)
      return fail(Error::unsupported(fmt::format("kind {} cannot be restored", file.kind())));
    TRY(plan(plan_, file, plan_.index().object(file.object_id())));
    if (plan_.file(file.id()) == nullptr) return fail(Error::bug("the kind made no descriptor"));
    return {};
  }

  // What is the same for all kinds.
  void finish_description(const pb::File& file) {
    const Operand* fd = plan_.file(file.id());
    if (fd == nullptr) return;  // of a group
    plan_.about(file.id());
    if (file.has_owner()) plan_owner(plan_, file.owner(), *fd);
    // Not yet, where the kind switched it on: fcntl(2) looks at what changes only.
    if (file.flags() & O_ASYNC)
      plan_.call(kSelf, SYS_fcntl, {*fd, F_SETFL, file.flags() & ~std::uint32_t{O_ASYNC}});
  }

  void install(const pb::File& file) {
    const Operand fd = *plan_.file(file.id());
    for (const Holder& holder : holders_[file.id()]) {
      std::uint32_t wanted = holder.entry->fd();
      plan_.about(wanted);
      bool in_place = holder.table->lowest_free() == static_cast<int>(wanted);
      OpId pulled = plan_.op(Op::Code::Pull, holder.pid, {fd}, "fd");
      if (in_place) {
        plan_.plan().ops[pulled].expect = wanted;
        // pidfd_getfd(2) sets close-on-exec.
        if (!holder.entry->close_on_exec()) plan_.call(holder.pid, SYS_fcntl, {wanted, F_SETFD, 0});
      } else {
        plan_.call_expecting(
            holder.pid, wanted, SYS_dup3,
            {Operand::result(pulled), wanted, holder.entry->close_on_exec() ? O_CLOEXEC : 0});
        plan_.call(holder.pid, SYS_close, {Operand::result(pulled)});
      }
      holder.table->take(wanted);
    }
    plan_.about(0);
  }

  // When nothing more is written or closed by us, which would send a signal. By somebody who has it: the
  // signal's si_fd is the number by which this was called (fs/fcntl.c:setfl()).
  void switch_async_on(const std::vector<const pb::File*>& files) {
    plan_.phase("files, O_ASYNC");
    for (const pb::File* file : files) {
      const std::vector<Holder>& holders = holders_[file->id()];
      if (!(file->flags() & O_ASYNC) || (file->flags() & O_PATH) || holders.empty()) continue;
      plan_.about(holders.front().entry->fd());
      plan_.call(holders.front().pid, SYS_fcntl, {holders.front().entry->fd(), F_SETFL, file->flags()},
                 "O_ASYNC of fd");
    }
    plan_.about(0);
  }

  Planning& planning_;
  PlanBuilder& plan_;
  std::set<std::uint32_t> finished_;
  std::set<std::uint32_t> given_;  // files that the caller gives
  Clusters clusters_;
  std::unordered_map<std::uint32_t, TableModel> tables_;
  std::unordered_map<std::uint32_t, std::vector<Holder>> holders_;  // by file id
};

}  // namespace

void plan_owner(PlanBuilder& plan, const pb::FileOwner& owner, Operand fd) {
  struct {
    std::int32_t type, pid;
  } whom{static_cast<std::int32_t>(owner.type()), static_cast<std::int32_t>(owner.pid())};
  // Whether a signal may be sent is asked of who named the owner, as he was then (fs/fcntl.c:sigio_perm());
  // so we are he for a moment. Root's capabilities are permitted meanwhile, and effective again with euid 0;
  // what may look at us is reset by each change (kernel/cred.c:commit_creds()). Without CAP_SETUID nothing
  // happens, and then it was our own user's process.
  const Environment::Ids own = plan.environment().ids();
  const bool other = owner.pid() != 0 && (owner.uid() != own.ruid || owner.euid() != own.euid);
  if (other)
    plan.try_call(kSelf, SYS_setresuid, {owner.uid(), owner.euid(), own.euid},
                  "as who named the owner of file");
  // The owner may be gone since; fcntl(2) then says ESRCH, and nobody would get a signal either way.
  if (owner.pid() != 0)
    plan.try_call(kSelf, SYS_fcntl, {fd, F_SETOWN_EX, Operand::data(plan.bytes_of(whom))}, "owner of file");
  if (other) {
    plan.try_call(kSelf, SYS_setresuid, {own.ruid, own.euid, own.suid});
    plan.try_call(kSelf, SYS_prctl, {PR_SET_DUMPABLE, 1, 0, 0, 0});
  }
  if (owner.signal() != 0) plan.call(kSelf, SYS_fcntl, {fd, F_SETSIG, owner.signal()}, "signal of file");
}

Result<void> plan_objects_end(Planning& planning) {
  PlanBuilder& plan = planning.plan;
  plan.phase("objects done");
  std::set<std::uint32_t> finished;
  for (const pb::File& file : planning.model().files.files()) {
    const pb::FileObject* object = plan.index().object(file.object_id());
    if (object == nullptr || !plan.object_kept(object->id()) || !finished.insert(object->id()).second)
      continue;
    const kinds::Kind* kind = kinds::find(object->kind());
    if (kind != nullptr && kind->finish != nullptr) TRY(kind->finish(plan, file, *object));
  }
  return {};
}

Result<void> plan_files(Planning& planning) {
  return FilesPlanner(planning).run();
}

}  // namespace bpfckpt::restore
