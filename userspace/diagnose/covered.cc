// SPDX-License-Identifier: Apache-2.0
#include "diagnose/covered.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <set>

#include "base/fd.h"
#include "kinds/names.h"
#include "model/living_thread.h"

namespace bpfckpt::diagnose {
namespace {

inline constexpr const char* kCovered = "covered";

bool same(const struct stat& a, const struct stat& b) {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Who has the file, and how.
struct Place {
  const pb::Process* process = nullptr;
  std::int64_t fd = -1;
  const pb::Vma* vma = nullptr;

  std::string subject() const {
    return vma == nullptr ? fmt::format("fd {}", fd)
                          : fmt::format("mapping {:x}-{:x}", vma->start(), vma->end());
  }

  // What is open there now: facts and path. False: nothing, or, with EPERM or EACCES, it may not be seen.
  bool look(struct stat& facts, std::string& path) const {
    Fd borrowed;
    std::string link;
    if (vma == nullptr) {
      Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, process->pid(), 0)));
      if (!pidfd) return false;
      borrowed.reset(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), fd, 0)));
      if (!borrowed || ::fstat(borrowed.get(), &facts) != 0) return false;
      link = fmt::format("/proc/self/fd/{}", borrowed.get());
    } else {
      link = fmt::format("/proc/{}/map_files/{:x}-{:x}", living_thread(*process).tid(), vma->start(),
                         vma->end());
      if (::stat(link.c_str(), &facts) != 0) return false;
    }
    path.resize(PATH_MAX);
    const ssize_t len = ::readlink(link.c_str(), path.data(), path.size());
    path.resize(len < 0 ? 0 : static_cast<std::size_t>(len));
    return len > 0;
  }

  // A link of map_files is in a directory of the process's user, shown to who may trace it, and followed by
  // who may checkpoint it (fs/proc/base.c:proc_map_files_get_link(), since 5.9).
  std::span<const Capability> needed() const {
    static constexpr std::array kNeeded = {kSysPtrace, kDacReadSearch, kCheckpointRestore};
    return std::span(kNeeded).first(vma == nullptr ? 1 : kNeeded.size());
  }
};

bool is_covered(const pb::File& file, const Place& place, Names& names) {
  const std::string& path = file.path().path();
  if (file.kind() != "regular" || file.object_id() != 0 || file.path().deleted() || path.empty() ||
      path.front() != '/')
    return false;
  const struct stat* named = names.look_up(path);
  const bool found = named != nullptr;
  if (!found && errno != ENOENT && errno != ENOTDIR) {  // restore says it where it matters
    if (errno == EACCES) names.unseen.add(kCovered, path, {{kDacReadSearch}});
    return false;
  }
  if (found && named->st_ino == file.inode().number() && named->st_dev == file.inode().device()) return false;
  // Some file systems have other numbers for stat(2) than for themselves (overlayfs, btrfs); and of a running
  // process the file may have been renamed or closed since.
  struct stat open;
  std::string now;
  if (!place.look(open, now)) {
    if (errno == EPERM || errno == EACCES) names.unseen.add(kCovered, path, place.needed());
    return false;
  }
  return now == path && !(found && same(*named, open));
}

}  // namespace

const struct stat* Names::look_up(const std::string& path) {
  auto [it, fresh] = found_.try_emplace(path);
  if (fresh) it->second.error = ::lstat(path.c_str(), &it->second.facts) == 0 ? 0 : errno;
  errno = it->second.error;
  return it->second.error == 0 ? &it->second.facts : nullptr;
}

std::vector<Item> find_covered(const Model& model) {
  Names names;
  return find_covered(model, names);
}

std::vector<Item> find_covered(const Model& model, Names& names) {
  std::vector<Item> items;
  std::set<std::uint32_t> seen;
  const ModelIndex index(model);
  auto look_at = [&](std::uint32_t id, const Place& place) {
    const pb::File* file = index.file(id);
    if (file == nullptr || !seen.insert(id).second || !is_covered(*file, place, names)) return;
    items.push_back(
        {place.process->pid(),
         place.subject(),
         kinds::describe_name(*file),
         file->kind(),
         {kinds::Verdict::Unsupported, kCovered,
          "its path leads to another file, or to none: something is mounted over it, its mount is "
          "detached, or it is in another mount namespace",
          ""}});
  };
  for (const pb::Process& process : model.tasks.processes()) {
    if (process.state() == pb::ZOMBIE) continue;
    if (const pb::FdTable* table = index.fd_table(process.fd_table_id()))
      for (const pb::FdEntry& entry : table->entries())
        look_at(entry.file_id(), {.process = &process, .fd = entry.fd()});
    if (const pb::AddressSpace* mm = index.address_space(process.mm_id()))
      for (const pb::Vma& vma : mm->vmas())
        if (vma.file_id() != 0) look_at(vma.file_id(), {.process = &process, .vma = &vma});
  }
  return items;
}

}  // namespace bpfckpt::diagnose
