// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>

#include "model/details.h"
#include "model/validate.h"

namespace bpfckpt::validation {
namespace {

constexpr std::uint32_t kMaxFd = 1 << 30;  // sysctl_nr_open_max
constexpr std::uint64_t kMaxFileSize = (1ULL << 63) - 1;

Result<void> check_content(const pb::Content& content) {
  if (content.size() > kMaxFileSize) return refuse("content of {} bytes", content.size());
  if (content.image().size() > kMaxNameBytes) return refuse("name of the content's image is too long");
  std::uint64_t previous_end = 0;
  for (const auto& extent : content.extents()) {
    if (extent.offset() < previous_end || extent.length() == 0 || extent.offset() > content.size() ||
        extent.length() > content.size() - extent.offset())
      return refuse("bad extent of {} bytes at {}", extent.length(), extent.offset());
    previous_end = extent.offset() + extent.length();
  }
  return {};
}

// Of a File or a FileObject.
template <class Described>
Result<void> check_kind(const Described& described) {
  if (described.kind().empty() || !is_text(described.kind(), kMaxNameBytes)) return refuse("bad kind");
  if (described.has_detail()) TRY(for_each_content(described.detail(), check_content));
  return {};
}

Result<void> check_file(const pb::File& file, const ModelIndex& index) {
  TRY(check_kind(file));
  if (file.path().path().size() > kMaxPathBytes || !is_text(file.operations(), kMaxNameBytes))
    return refuse("path or name is too long");
  if (file.path().path().find('\0') != std::string::npos) return refuse("path holds a zero byte");
  if (file.object_id() != 0 && index.object(file.object_id()) == nullptr)
    return refuse("no file object {}", file.object_id());
  if (file.owner().type() > 2) return refuse("bad owner type {}", file.owner().type());
  if (file.owner().signal() > 64) return refuse("bad owner signal {}", file.owner().signal());
  return {};
}

Result<void> check_table(const pb::FdTable& table, const ModelIndex& index) {
  std::int64_t previous = -1;
  for (const auto& entry : table.entries()) {
    if (entry.fd() > kMaxFd || entry.fd() <= previous)
      return refuse("fd {} is bad or not in order", entry.fd());
    if (index.file(entry.file_id()) == nullptr)
      return refuse("fd {}: no file {}", entry.fd(), entry.file_id());
    previous = entry.fd();
  }
  return {};
}

Result<void> check_lock(const pb::FileLock& lock, const ModelIndex& index) {
  const pb::File* file = index.file(lock.file_id());
  if (file == nullptr) return refuse("no file {}", lock.file_id());
  if (lock.kind() < 0 || lock.kind() > pb::LOCK_LEASE) return refuse("bad kind {}", int{lock.kind()});
  if (lock.type() != F_RDLCK && lock.type() != F_WRLCK) return refuse("bad type {}", lock.type());
  if (lock.pid() != 0 && index.process(lock.pid()) == nullptr) return refuse("no process {}", lock.pid());
  if ((file->flags() & O_PATH) != 0) return refuse("through O_PATH");
  if (lock.kind() == pb::LOCK_POSIX || lock.kind() == pb::LOCK_OPEN_FILE) {
    if (lock.start() > lock.end() || lock.end() > kMaxFileSize)
      return refuse("bad range of bytes, {} to {}", lock.start(), lock.end());
    const std::uint32_t access = file->flags() & O_ACCMODE;
    if (access == (lock.type() == F_WRLCK ? O_RDONLY : O_WRONLY)) return refuse("bad access mode {}", access);
  }
  if (lock.kind() == pb::LOCK_LEASE && lock.fd() > kMaxFd) return refuse("bad fd {}", lock.fd());
  if (lock.kind() != pb::LOCK_LEASE && (lock.broken_by_reader() || lock.broken_by_writer()))
    return refuse("it is no lease that could be broken");
  if (lock.kind() != pb::LOCK_POSIX)
    return lock.fd_table_id() == 0 ? Result<void>() : refuse("fd table {}", lock.fd_table_id());
  if (index.fd_table(lock.fd_table_id()) == nullptr) return refuse("no fd table {}", lock.fd_table_id());
  return {};
}

}  // namespace

Result<void> check_files(const pb::Files& files, const ModelIndex& index) {
  for (const auto& it : files.files()) TRY(check_file(it, index), "file {}", it.id());
  for (const auto& it : files.objects()) TRY(check_kind(it), "file object {}", it.id());
  for (const auto& it : files.tables()) TRY(check_table(it, index), "fd table {}", it.id());
  for (int i = 0; i < files.locks_size(); i++) TRY(check_lock(files.locks(i), index), "file lock {}", i);
  return {};
}

}  // namespace bpfckpt::validation
