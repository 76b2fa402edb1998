// SPDX-License-Identifier: Apache-2.0
#include "image/directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "image/link_record.h"
#include "image/manifest_file.h"

namespace bpfckpt::image {
namespace {

std::string temporary(std::string_view name) {
  return fmt::format("{}{}", kTemporaryPrefix, name);
}

// Every name in the directory that begins with our prefix for what does not count.
Result<std::vector<std::string>> temporary_names(int directory) {
  // A descriptor of its own: reading moves the position, and closedir() closes it.
  int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return fail(Error::system("open"));
  std::unique_ptr<DIR, int (*)(DIR*)> stream(fdopendir(fd), closedir);
  if (!stream) {
    ::close(fd);
    return fail(Error::system("fdopendir"));
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(stream.get()))
    if (std::string_view(entry->d_name).starts_with(kTemporaryPrefix)) names.emplace_back(entry->d_name);
  if (errno != 0) return fail(Error::system("readdir"));
  return names;
}

// The names of the files of the checkpoint that `manifest_name` describes; none if it cannot be believed.
std::set<std::string> files_of(const ImageDirectory& directory, std::string_view manifest_name) {
  std::set<std::string> names;
  auto file = directory.open_file(manifest_name);
  if (!file) return names;
  auto manifest = read_manifest_file(file->get());
  if (!manifest) return names;
  for (const auto& it : manifest->files())
    if (is_image_name(it.name())) names.insert(it.name());
  return names;
}

}  // namespace

bool is_image_name(std::string_view name) {
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  };
  return !name.empty() && name.size() <= 128 && name.front() != '.' && name != kManifest &&
         std::ranges::all_of(name, allowed);
}

TemporaryFile::TemporaryFile(int directory, Fd fd, std::string name, std::string temporary_name)
    : directory_(directory),
      fd_(std::move(fd)),
      name_(std::move(name)),
      temporary_name_(std::move(temporary_name)) {}

TemporaryFile::TemporaryFile(TemporaryFile&& other) noexcept
    : directory_(other.directory_),
      fd_(std::move(other.fd_)),
      name_(std::move(other.name_)),
      temporary_name_(std::exchange(other.temporary_name_, {})) {}

TemporaryFile& TemporaryFile::operator=(TemporaryFile&& other) noexcept {
  if (this != &other) {
    discard();
    directory_ = other.directory_;
    fd_ = std::move(other.fd_);
    name_ = std::move(other.name_);
    temporary_name_ = std::exchange(other.temporary_name_, {});
  }
  return *this;
}

TemporaryFile::~TemporaryFile() {
  discard();
}

void TemporaryFile::discard() {
  if (!temporary_name_.empty()) unlinkat(directory_, temporary_name_.c_str(), 0);
  temporary_name_.clear();
  fd_.reset();
}

Result<void> TemporaryFile::stage() {
  if (!temporary_name_.empty()) return {};
  std::string name = temporary(name_);
  // AT_EMPTY_PATH wants CAP_DAC_READ_SEARCH before 6.10; the link in /proc does without.
  if (linkat(fd_.get(), "", directory_, name.c_str(), AT_EMPTY_PATH) != 0 &&
      linkat(AT_FDCWD, fmt::format("/proc/self/fd/{}", fd_.get()).c_str(), directory_, name.c_str(),
             AT_SYMLINK_FOLLOW) != 0)
    return fail(Error::system("link").in(name_));
  temporary_name_ = std::move(name);
  return {};
}

Result<void> TemporaryFile::publish() {
  TRY(stage());  // linkat() itself cannot replace a file
  if (renameat(directory_, temporary_name_.c_str(), directory_, name_.c_str()) != 0)
    return fail(Error::system("rename").in(name_));
  temporary_name_.clear();
  return {};
}

Result<bool> TemporaryFile::exchange() {
  TRY(stage());
  if (renameat2(directory_, temporary_name_.c_str(), directory_, name_.c_str(), RENAME_EXCHANGE) == 0)
    return true;
  TRY(publish());
  return false;
}

Result<ImageDirectory> ImageDirectory::open(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail(Error::system("open").in(fmt::format("images directory {}", path)));
  return ImageDirectory(std::move(fd), path);
}

Result<void> ImageDirectory::lock() {
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) == 0) return {};
  if (errno == EWOULDBLOCK)
    return fail(
        Error::conflict(fmt::format("images directory {}: another process writes a checkpoint", path_)));
  // File systems without locks (some network ones) leave it to the user not to dump twice at a time.
  if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS) return {};
  return fail(Error::system("flock").in(fmt::format("images directory {}", path_)));
}

Result<Leftovers> ImageDirectory::remove_leftovers() {
  Leftovers removed;
  TRY_ASSIGN(removed.links, remove_recorded_links(*this), "images directory {}", path_);
  // A pending manifest names the files of a checkpoint that did not come to be, or of one that was replaced.
  // They go first: while the pending manifest is there, the next writer can finish what is left of this.
  std::set<std::string> stale = files_of(*this, temporary(kManifest));
  for (const auto& current : files_of(*this, kManifest)) stale.erase(current);
  for (const auto& name : stale)
    if (unlinkat(fd_.get(), name.c_str(), 0) == 0) ++removed.files;
  TRY_ASSIGN(auto names, temporary_names(fd_.get()), "images directory {}", path_);
  for (const auto& name : names)
    if (unlinkat(fd_.get(), name.c_str(), 0) == 0) ++removed.files;
  return removed;
}

Result<Fd> ImageDirectory::open_file(std::string_view name) const {
  std::string path(name);
  Fd fd(openat(fd_.get(), path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY));
  if (!fd) return fail(Error::system("open").in(path));
  struct stat st;
  if (fstat(fd.get(), &st) != 0) return fail(Error::system("fstat").in(path));
  if (!S_ISREG(st.st_mode)) return fail(Error::bad_image("not a regular file").in(path));
  return fd;
}

Result<TemporaryFile> ImageDirectory::create(const std::string& name) {
  constexpr mode_t kMode = 0600;
  int fd = openat(fd_.get(), ".", O_TMPFILE | O_RDWR | O_CLOEXEC, kMode);
  if (fd >= 0) return TemporaryFile(fd_.get(), Fd(fd), name, {});
  // Not every file system can do that (9p, NFS, FUSE).
  if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL)
    return fail(Error::system(fmt::format("create {} in {}", name, path_)));
  std::string temporary_name = temporary(name);
  fd = openat(fd_.get(), temporary_name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, kMode);
  if (fd < 0) return fail(Error::system(fmt::format("create {} in {}", name, path_)));
  return TemporaryFile(fd_.get(), Fd(fd), name, std::move(temporary_name));
}

void ImageDirectory::remove(const std::string& name) {
  unlinkat(fd_.get(), name.c_str(), 0);
}

Result<void> ImageDirectory::sync() {
  if (fsync(fd_.get()) != 0)
    return fail(Error::system("fsync").in(fmt::format("images directory {}", path_)));
  return {};
}

}  // namespace bpfckpt::image
