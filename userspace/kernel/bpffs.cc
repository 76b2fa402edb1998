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

#include "kernel/network_lock.h"

namespace bpfckpt::kernel {
namespace {

constexpr const char* kSystemMount = "/sys/fs/bpf";
constexpr const char* kSystemDirectory = "/sys/fs/bpf/bpfckpt";
constexpr const char* kPrivateParent = "/run/bpfckpt";
constexpr const char* kPrivateMount = "/run/bpfckpt/bpf";
// Not the mount's own root: the kernel may have put files of its own there (kernel/bpf/preload).
constexpr const char* kPrivateDirectory = "/run/bpfckpt/bpf/bpfckpt";

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
    if (!inner) return fail(Error::system(name));
    TRY_ASSIGN(const int count, empty_directory(inner.get(), depth - 1), "{}", name);
    removed += count;
    if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0) return fail(Error::system(name));
  }
  return removed;
}

// Empties and removes our directory below a mount of bpffs, if both are there.
Result<int> remove_directory(const char* mount, const char* path) {
  if (!is_bpffs(mount) || ::access(path, F_OK) != 0) return 0;
  TRY_ASSIGN(const Fd directory, open_private_directory(path));
  end_kept_locks(path);
  TRY_ASSIGN(const int removed, empty_directory(directory.get(), 1), "{}", path);
  if (::rmdir(path) != 0) return fail(Error::system(path));
  return removed;
}

}  // namespace

Result<PinDirectory> PinDirectory::open() {
  std::string path = kSystemDirectory;
  if (!is_bpffs(kSystemMount)) {
    TRY(mount_private());
    path = kPrivateDirectory;
  }
  TRY(make_directory(path.c_str()));
  TRY_ASSIGN(Fd directory, open_private_directory(path.c_str()));
  return PinDirectory(std::move(path), std::move(directory));
}

Result<std::string> name_of_build(std::span<const std::byte> object) {
  // FNV-1a over the object's words; nothing depends on its being hard to forge.
  std::uint64_t hash = 0xcbf29ce484222325;
  for (std::size_t at = 0; at + sizeof(std::uint64_t) <= object.size(); at += sizeof(std::uint64_t)) {
    std::uint64_t word;
    std::memcpy(&word, object.data() + at, sizeof(word));
    hash = (hash ^ word) * 0x100000001b3;
  }
  char boot[37] = {};
  Fd file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
  if (!file || ::read(file.get(), boot, sizeof(boot) - 1) != sizeof(boot) - 1)
    return fail(Error::system("/proc/sys/kernel/random/boot_id"));
  return fmt::format("{:016x}-{}", hash, boot);
}

Result<int> remove_pins() {
  TRY_ASSIGN(int removed, remove_directory(kSystemMount, kSystemDirectory));
  TRY_ASSIGN(const int in_private, remove_directory(kPrivateMount, kPrivateDirectory));
  removed += in_private;
  if (is_bpffs(kPrivateMount)) {
    if (::umount2(kPrivateMount, MNT_DETACH | UMOUNT_NOFOLLOW) != 0)
      return fail(Error::system(kPrivateMount));
    ::rmdir(kPrivateMount);
  }
  return removed;
}

}  // namespace bpfckpt::kernel
