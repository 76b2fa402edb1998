// SPDX-License-Identifier: Apache-2.0
// Descriptors, descriptions, and the objects behind them.
#include <fcntl.h>
#include <linux/magic.h>

#include <algorithm>
#include <cstring>

#include "collect/builder.h"
#include "collect/in_flight.h"
#include "kinds/marks.h"
#include "model/details.h"

namespace bpfckpt::collect {
namespace {

constexpr std::string_view kDeleted = " (deleted)";
constexpr std::uint32_t kFmodePath = 0x4000;  // include/linux/fs.h: FMODE_PATH

void strip_deleted(std::string& path) {
  if (path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
}

void fill_inode(const inode_part& part, pb::Inode& inode) {
  inode.set_number(part.number);
  inode.set_device(part.device);
  inode.set_mode(part.mode);
  inode.set_links(part.links);
  inode.set_size(part.size);
  inode.set_rdev(part.rdev);
  inode.set_fs_magic(part.magic);
  inode.set_uid(part.uid);
  inode.set_gid(part.gid);
  inode.set_mtime_ns(part.mtime_ns);
}

// overlayfs gives the links of the file underneath, which stays there when the one on top goes
// (fs/overlayfs/inode.c:ovl_getattr()). A name may end as d_path() ends those that are gone.
bool is_gone(const Records::VisibleFile& visible) {
  if (visible.facts.st_nlink == 0) return true;
  if (!visible.path.ends_with(kDeleted)) return false;
  struct stat named;
  return ::stat(visible.path.c_str(), &named) != 0 || named.st_ino != visible.facts.st_ino ||
         named.st_dev != visible.facts.st_dev;
}

}  // namespace

pb::Path to_path(const path_part& part, std::string_view string) {
  pb::Path path;
  std::string text(string);
  if ((part.flags & PATH_UNLINKED) != 0) strip_deleted(text);
  path.set_path(std::move(text));
  path.set_mount_id(part.mount_id);
  path.set_deleted((part.flags & PATH_UNLINKED) != 0);
  path.set_inode(part.inode);
  path.set_device(part.device);
  path.set_mode(part.mode);
  return path;
}

std::uint64_t Builder::object_pointer(const file_record& record, const pb::File& file) {
  constexpr std::uint64_t kOverlayMagic = 0x794c7630;
  if ((record.flags & FILE_BACKING) == 0 && record.inode.magic != kOverlayMagic) return record.inode.pointer;
  const auto [it, fresh] =
      overlay_inodes_.try_emplace({file.inode().device(), file.inode().number()}, record.inode.pointer);
  return it->second;
}

Result<void> Builder::describe(const file_record& record, pb::File& file) {
  const kinds::Kind& kind = kinds::by_number(record.kind);
  file.set_kind(std::string(kind.name));
  if (&kind != last_kind_) kinds_.insert(last_kind_ = &kind);
  file.set_flags((record.open_flags & ~static_cast<std::uint32_t>(O_CLOEXEC)) |
                 ((record.open_mode & kFmodePath) != 0 ? O_PATH : 0));
  file.set_position(record.position);
  *file.mutable_path() = to_path(record.path, path_string(record));
  // What sockfs would say itself (net/socket.c:sockfs_dname()).
  if (S_ISSOCK(record.inode.mode) && record.path.length == 0)
    file.mutable_path()->set_path(fmt::format("socket:[{}]", record.inode.number));
  // simple_dname() says " (deleted)" of every memfd and its like (fs/d_path.c); that is no part of the name.
  if (record.kind == FILE_KIND_SHMEM || record.kind == FILE_KIND_SYSV_SHM)
    strip_deleted(*file.mutable_path()->mutable_path());
  fill_inode(record.inode, *file.mutable_inode());
  if (record.owner_pid != 0) {
    auto& owner = *file.mutable_owner();
    owner.set_type(record.owner_type);  // enum pid_type and F_OWNER_* have the same numbers
    owner.set_pid(record.owner_pid);
    owner.set_signal(record.owner_signal);
    owner.set_uid(record.owner_uid);
    owner.set_euid(record.owner_euid);
  } else if (record.owner_signal != 0) {
    file.mutable_owner()->set_signal(record.owner_signal);
  }
  // What the kind is asked about is the file that was mapped, not the one underneath.
  file_record seen_through;
  const file_record* seen = &record;
  if (const auto* visible = records_.visible_file(record.file)) {
    seen_through = record;
    const bool gone = is_gone(*visible);
    seen_through.inode.links = gone ? 0 : static_cast<std::uint32_t>(visible->facts.st_nlink);
    seen_through.path.flags &= ~static_cast<std::uint32_t>(PATH_UNLINKED);
    if (gone) seen_through.path.flags |= PATH_UNLINKED;
    seen = &seen_through;
    std::string path = visible->path;
    file.mutable_path()->set_deleted(gone);
    if (gone) strip_deleted(path);
    file.mutable_path()->set_path(path);
    file.mutable_path()->set_inode(visible->facts.st_ino);
    file.mutable_path()->set_device(static_cast<std::uint32_t>(visible->facts.st_dev));
    file.mutable_inode()->set_number(visible->facts.st_ino);
    file.mutable_inode()->set_device(static_cast<std::uint32_t>(visible->facts.st_dev));
  }
  pb::FileObject* object = nullptr;
  if (kind.has_object != nullptr && kind.has_object(*seen)) {
    // Anonymous inodes are shared by everybody (fs/anon_inodes.c): what they are is behind private_data.
    const bool anonymous = record.inode.magic == ANON_INODE_FS_MAGIC;
    const auto [id, fresh] =
        object_ids_.intern(anonymous ? record.private_data : object_pointer(record, file));
    file.set_object_id(id);
    if (fresh) {
      object = model_.files.add_objects();
      object->set_id(id);
      object->set_kind(file.kind());
    }
  }
  if (waits(kind)) {
    waiting_.emplace_back(&file, &record);
    return {};
  }
  if (kind.describe != nullptr) TRY(kind.describe(*seen, file, object), "{}", printable(path_string(record)));
  if (record.kind == FILE_KIND_EVENTFD) eventfds_.try_emplace(record.private_data, file.id());
  if (record.kind == FILE_KIND_IO_URING) urings_.push_back({&file, &record});
  if (record.kind == FILE_KIND_USERFAULTFD)
    userfaultfds_.push_back({&file, record.private_data, record.detail.userfaultfd.mm});
  return {};
}

Result<void> Builder::add_waiting() {
  for (const auto& [file, record] : waiting_) {
    auto list = lists_.find(record->list);
    if (list == lists_.end()) return fail(Error::bug("a file that waits for nothing"));
    if (list->second.file == file && kinds::by_number(record->kind).can_wait(*record, list->second.items)) {
      late_->add(file->id(), *record, std::move(list->second.items));
      list->second.file = nullptr;
    } else {
      TRY(kinds::by_number(record->kind).describe(*record, *file, nullptr), "{}", file->path().path());
    }
  }
  return {};
}

Result<void> Builder::add_lists() {
  TRY(add_waiting());
  for (auto& [object, list] : lists_) {
    if (list.file == nullptr) continue;
    const kinds::Kind* kind = kinds::find(list.file->kind());
    if (kind == nullptr || kind->add_items == nullptr || (list.items.empty() && kind->ties != nullptr))
      continue;
    if (late_ != nullptr && kinds::find_watcher(kind->name) != nullptr) {
      late_->add_list(list.file->id(), std::move(list.items));
      continue;
    }
    TRY(kind->add_items(list.items, [this](std::uint64_t file) { return file_ids_.find(file); }, *list.file));
  }
  return {};
}

Result<std::uint32_t> Builder::file_id(const file_record& record) {
  const auto [id, fresh] = file_ids_.intern(record.file);
  if (id == 0) return fail(Error::bug("a file without identity"));
  fresh_list_ = fresh ? record.list : 0;
  if (fresh) {
    pb::File* file = model_.files.add_files();
    file->set_id(id);
    files_.push_back(file);
    references_.resize(id + std::size_t{1});
    if (record.list != 0) lists_.try_emplace(record.list, List{file, {}});
    TRY(describe(record, *file));
  }
  return id;
}

Result<void> Builder::add_file_record(const file_record& record) {
  TRY_ASSIGN(const std::uint32_t id, file_id(record), "pid {}: fd {}", record.tgid, record.fd);
  if (record.fd == kInFlight) return {};
  if (record.fd == FILE_OF_EXE) {
    if (last_space_ == nullptr) return {};
    last_space_->set_exe_file_id(id);
    references_[id]++;
    return {};
  }
  if (record.fd == FILE_OF_VMA) {
    if (last_vma_ == nullptr) return {};
    set_vma_file(*last_vma_, *last_vma_record_, *files_[id - 1]);
    references_[id]++;
    return {};
  }
  const auto [table_id, fresh] = table_ids_.intern(record.table);
  if (table_id == 0) return {};  // the task was exiting
  pb::FdTable*& table = tables_[table_id];
  if (table == nullptr) {
    table = model_.files.add_tables();
    table->set_id(table_id);
  }
  // A table comes again with each process or thread that shares it.
  const auto fd = static_cast<std::uint32_t>(record.fd);
  if (!table->entries().empty() && table->entries().rbegin()->fd() >= fd) return {};
  references_[id]++;
  pb::FdEntry* entry = table->add_entries();
  entry->set_fd(fd);
  entry->set_file_id(id);
  entry->set_close_on_exec((record.flags & FILE_CLOEXEC) != 0);
  return {};
}

}  // namespace bpfckpt::collect
