// SPDX-License-Identifier: Apache-2.0
#include "image/reader.h"

#include <sys/utsname.h>

#include <utility>
#include <vector>

#include "image/checksum.h"
#include "image/content_check.h"
#include "image/file_io.h"
#include "image/manifest_file.h"
#include "image/references.h"
#include "model/details.h"

namespace bpfckpt::image {
namespace {

// A message in memory is at most some forty times as long as its encoding, so this bounds what a hostile
// image can make us use.
constexpr std::uint64_t kMaxMetadataBytes = 256 << 20;

}  // namespace

Result<ImageReader> ImageReader::open(const std::string& path) {
  ImageReader reader;
  TRY_ASSIGN(auto directory, ImageDirectory::open(path));
  reader.directory_ = std::make_unique<ImageDirectory>(std::move(directory));
  TRY(reader.read_manifest(), "{}", path);
  TRY(reader.read_model(), "{}", path);
  return reader;
}

Result<void> ImageReader::read_manifest() {
  auto file = directory_->open_file(kManifest);
  if (!file && file.error().err() == ENOENT)
    return fail(Error::bad_image("no manifest: there is no complete checkpoint here"));
  if (!file) return fail(std::move(file.error()));
  TRY_ASSIGN(auto manifest, read_manifest_file(file->get()), "{}", kManifest);
  manifest_ = std::make_unique<pb::Manifest>(std::move(manifest));
  if (manifest_->architecture() != "x86_64")
    return fail(
        Error::bad_image(fmt::format("architecture {} is not known", printable(manifest_->architecture()))));

  for (const auto& it : manifest_->files()) {
    if (!is_image_name(it.name()))
      return fail(Error::bad_image(fmt::format("\"{}\" is no name for an image file", printable(it.name()))));
    if (!files_.emplace(it.name(), &it).second)
      return fail(Error::bad_image(fmt::format("{} is named twice", it.name())));
    TRY(open_raw(it.name()));  // for its size
  }
  return {};
}

Result<void> ImageReader::read_model() {
  model_ = std::make_unique<Model>();
  auto read = [&](const std::string& name, google::protobuf::Message& message) -> Result<void> {
    auto entry = files_.find(name);
    if (entry == files_.end()) return fail(Error::bad_image("not among the files of the manifest"));
    TRY_ASSIGN(Fd fd, open_raw(name));
    TRY_ASSIGN(std::string bytes, read_whole_file(fd.get(), kMaxMetadataBytes));
    if (checksum_bytes(bytes) != entry->second->xxh3())
      return fail(Error::bad_image("damaged: wrong checksum"));
    if (!message.ParseFromString(bytes)) return fail(Error::bad_image("cannot be parsed"));
    return {};
  };
  TRY(read(manifest_->tasks_image(), model_->tasks), "{}", printable(manifest_->tasks_image()));
  TRY(read(manifest_->memory_image(), model_->memory), "{}", printable(manifest_->memory_image()));
  TRY(read(manifest_->files_image(), model_->files), "{}", printable(manifest_->files_image()));
  TRY(validate(*model_));
  TRY(check_references(*model_, *manifest_));
  if (manifest_->root_pid() != model_->tasks.processes(0).pid())
    return fail(Error::bad_image("the manifest's root pid is not the model's"));
  index_ = std::make_unique<ModelIndex>(*model_);
  return {};
}

Result<Fd> ImageReader::open_raw(std::string_view name) const {
  auto entry = files_.find(std::string(name));
  if (entry == files_.end())
    return fail(Error::bad_image(fmt::format("no image file \"{}\"", printable(name))));
  auto fd = directory_->open_file(name);
  if (!fd && fd.error().err() == ENOENT) return fail(Error::bad_image(fmt::format("{} is missing", name)));
  if (!fd) return fail(std::move(fd.error()));
  TRY_ASSIGN(std::uint64_t size, file_size(fd->get()), "{}", name);
  if (size != entry->second->size())
    return fail(
        Error::bad_image(fmt::format("{} has {} bytes instead of {}", name, size, entry->second->size())));
  return fd;
}

std::int64_t ImageReader::size_of(std::string_view name) const {
  auto entry = files_.find(std::string(name));
  return entry == files_.end() ? -1 : static_cast<std::int64_t>(entry->second->size());
}

Result<void> ImageReader::verify_contents(unsigned threads) const {
  TRY_ASSIGN(ContentCheck check, ContentCheck::open(*this));
  return check.finish(threads);
}

Result<void> ImageReader::check_machine() const {
  utsname host;
  if (uname(&host) != 0) return fail(Error::system("uname"));
  if (manifest_->architecture() != host.machine)
    return fail(Error::conflict(fmt::format("{}: the checkpoint is of a {} machine, this is {}", path(),
                                            manifest_->architecture(), host.machine)));
  auto page_size = static_cast<std::uint32_t>(sysconf(_SC_PAGESIZE));
  if (manifest_->page_size() != page_size)
    return fail(Error::conflict(fmt::format("{}: the checkpoint's pages have {} bytes, this machine's {}",
                                            path(), manifest_->page_size(), page_size)));
  return {};
}

}  // namespace bpfckpt::image
