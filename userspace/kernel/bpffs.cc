// SPDX-License-Identifier: Apache-2.0
#include "kernel/bpffs.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <memory>
#include <utility>

namespace bpfckpt::kernel {
namespace {

constexpr const char* kSystemMount = "/sys/fs/bpf";
constexpr const char* kSystemDirectory = "/sys/fs/bpf/bpfckpt";
constexpr const char* kPrivateParent = "/run/bpfckpt";
constexpr const char* kPrivateMount = "/run/bpfckpt/bpf";

bool is_bpffs(const char* path) {
  struct statfs facts;
  return ::statfs(path, &facts) == 0 && static_cast<unsigned long>(facts.f_type) == BPF_FS_MAGIC;
}

// Opens a directory that belongs to us alone; never through a symbolic link.
Result<Fd> open_private_directory(const char* path) {
  Fd directory(::open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory) return fail(Error::system(path));
  struct stat facts;
  if (::fstat(directory.get(), &facts) != 0) return fail(Error::system(path));
  if (facts.st_uid != ::geteuid() || (facts.st_mode & 077) != 0)
    return fail(Error::conflict(fmt::format("{}: others may enter (owner {}, mode {:o}); not used", path,
                                            facts.st_uid, facts.st_mode & 07777)));
  return directory;
}

Result<void> make_directory(const char* path) {
  if (::mkdir(path, 0700) != 0 && errno != EEXIST) return fail(Error::system(path));
  return {};
}

Result<void> mount_private() {
  TRY(make_directory(kPrivateParent));
  TRY(open_private_directory(kPrivateParent));
  TRY(make_directory(kPrivateMount));
  if (is_bpffs(kPrivateMount)) return {};
  if (::mount("bpffs", kPrivateMount, "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=0700") != 0)
    return fail(Error::system(fmt::format("mount {}", kPrivateMount)));
  return {};
}

// Removes what is in the directory, two levels deep (a directory of programs a build). Returns the number of
// files.
Result<int> empty_directory(int directory, int depth) {
  int removed = 0;
  const int copy = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) return fail(Error::system("open"));
  std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(copy), ::closedir);
  while (const dirent* entry = ::readdir(entries.get())) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    if (::unlinkat(directory, name.c_str(), 0) == 0) {
      ++removed;
      continue;
    }
    if (errno != EISDIR && errno != EPERM) return fail(Error::system(name));
    if (depth == 0) return fail(Error::conflict(fmt::format("{}: a directory that is not ours", name)));
    Fd inner(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    // The kernel puts iterators of its own into every new bpffs (progs.debug, maps.debug:
    // CONFIG_BPF_PRELOAD), and lets nobody remove names with dots (kernel/bpf/inode.c:bpf_lookup()). They go
    // with the mount.
    if (!inner && errno == ENOTDIR) continue;
    if (!inner) return fail(Error::system(name));
    TRY_ASSIGN(const int count, empty_directory(inner.get(), depth - 1), "{}", name);
    removed += count;
    if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0) return fail(Error::system(name));
  }
  return removed;
}

}  // namespace

Result<PinDirectory> PinDirectory::open() {
  std::string path = kPrivateMount;
  if (is_bpffs(kSystemMount)) {
    path = kSystemDirectory;
    TRY(make_directory(kSystemDirectory));
  } else {
    TRY(mount_private());
  }
  TRY_ASSIGN(Fd directory, open_private_directory(path.c_str()));
  return PinDirectory(std::move(path), std::move(directory));
}

Result<int> remove_pins() {
  int removed = 0;
  if (is_bpffs(kSystemMount) && ::access(kSystemDirectory, F_OK) == 0) {
    TRY_ASSIGN(Fd directory, open_private_directory(kSystemDirectory));
    TRY_ASSIGN(const int count, empty_directory(directory.get(), 1), "{}", kSystemDirectory);
    removed += count;
    if (::rmdir(kSystemDirectory) != 0) return fail(Error::system(kSystemDirectory));
  }
  if (is_bpffs(kPrivateMount)) {
    {
      TRY_ASSIGN(Fd directory, open_private_directory(kPrivateMount));
      TRY_ASSIGN(const int count, empty_directory(directory.get(), 1), "{}", kPrivateMount);
      removed += count;
    }
    if (::umount2(kPrivateMount, MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
      return fail(Error::system(kPrivateMount));
    ::rmdir(kPrivateMount);
  }
  return removed;
}

}  // namespace bpfckpt::kernel
