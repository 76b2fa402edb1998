// SPDX-License-Identifier: Apache-2.0
#include "image/link_record.h"

#include <sys/stat.h>

#include <charconv>
#include <cstring>
#include <set>
#include <vector>

#include "base/directory_times.h"
#include "base/log.h"
#include "image/file_io.h"
#include "image/reader.h"
#include "images/kinds/regular.pb.h"

namespace bpfckpt::image {
namespace {

constexpr const char* kName = "links";
constexpr std::uint64_t kMostBytes = 256 << 20;

// In the file: "DEVICE INODE PATH", and a NUL, as a path may have everything else in it. What the writer did
// not get to end was not made.
struct Entry {
  std::uint64_t device = 0, inode = 0;
  std::string path;
};

std::vector<Entry> parse(std::string_view text) {
  std::vector<Entry> entries;
  for (std::size_t end; (end = text.find('\0')) != std::string_view::npos; text.remove_prefix(end + 1)) {
    const char *at = text.data(), *last = at + end;
    Entry entry;
    auto device = std::from_chars(at, last, entry.device);
    if (device.ec != std::errc() || device.ptr == last || *device.ptr != ' ') continue;
    auto inode = std::from_chars(device.ptr + 1, last, entry.inode);
    if (inode.ec != std::errc() || inode.ptr == last || *inode.ptr != ' ') continue;
    entry.path.assign(inode.ptr + 1, last);
    entries.push_back(std::move(entry));
  }
  return entries;
}

bool is_our_name(const std::string& path) {
  return path.starts_with('/') && std::string_view(path).substr(path.rfind('/') + 1).starts_with(kLinkPrefix);
}

// What the complete checkpoint in the directory needs. One that cannot be read needs nothing any more.
std::set<std::string> names_of_checkpoint(const ImageDirectory& directory) {
  std::set<std::string> names;
  auto reader = ImageReader::open(directory.path());
  if (!reader) return names;
  for (const pb::FileObject& object : reader->model().files.objects()) {
    pb::LinkedFile linked;
    if (object.detail().Is<pb::LinkedFile>() && object.detail().UnpackTo(&linked))
      names.insert(linked.path());
  }
  return names;
}

}  // namespace

Result<LinkRecord> LinkRecord::open(ImageDirectory& directory) {
  TRY_ASSIGN(TemporaryFile file, directory.create(kName));
  TRY(file.stage());
  return LinkRecord(std::move(file));
}

Result<void> LinkRecord::add(const std::string& path, int fd) {
  struct stat st;
  if (::fstat(fd, &st) != 0) return fail(Error::system("fstat"));
  const std::string entry = fmt::format("{} {} {}", st.st_dev, st.st_ino, path) + '\0';
  const off_t end = ::lseek(file_.fd(), 0, SEEK_END);
  if (end < 0) return fail(Error::system("lseek"));
  return write_fully(file_.fd(), entry, static_cast<std::uint64_t>(end));
}

Result<unsigned> remove_recorded_links(const ImageDirectory& directory) {
  auto file = directory.open_file(fmt::format("{}{}", kTemporaryPrefix, kName));
  if (!file && file.error().err() == ENOENT) return 0;
  if (!file) return fail(std::move(file.error()));
  TRY_ASSIGN(const std::string text, read_whole_file(file->get(), kMostBytes));
  const std::vector<Entry> entries = parse(text);
  if (entries.empty()) return 0;
  const std::set<std::string> wanted = names_of_checkpoint(directory);
  unsigned removed = 0;
  for (const Entry& entry : entries) {
    if (!is_our_name(entry.path) || wanted.contains(entry.path)) continue;
    struct stat st;
    if (::lstat(entry.path.c_str(), &st) != 0 || st.st_dev != entry.device || st.st_ino != entry.inode)
      continue;
    if (in_directory(entry.path, [&] { return ::unlink(entry.path.c_str()) == 0; }))
      removed++;
    else
      log::warn("{}: a killed dump made this name, and it cannot be removed: {}", entry.path,
                std::strerror(errno));
  }
  return removed;
}

}  // namespace bpfckpt::image
