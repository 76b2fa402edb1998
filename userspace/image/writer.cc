// SPDX-License-Identifier: Apache-2.0
#include "image/writer.h"

#include <fcntl.h>
#include <sys/utsname.h>

#include <chrono>
#include <utility>
#include <vector>

#include "image/checksum.h"
#include "image/file_io.h"
#include "image/host.h"
#include "image/manifest_file.h"
#include "image/references.h"

namespace bpfckpt::image {
namespace {

Result<void> write_message(const google::protobuf::Message& message, const TemporaryFile& file) {
  std::string bytes;
  // The one way to fail is to be longer than protobuf can, 2 GiB.
  if (!message.SerializeToString(&bytes))
    return fail(Error::unsupported(fmt::format("{} grows too large", file.name())));
  TRY(write_fully(file.fd(), bytes, 0), "{}", file.name());
  return {};
}

}  // namespace

ImageWriter::ImageWriter(std::unique_ptr<ImageDirectory> directory, Options options)
    : directory_(std::move(directory)), options_(options), mutex_(std::make_unique<std::mutex>()) {}

Result<ImageWriter> ImageWriter::open(const std::string& path, Options options) {
  TRY_ASSIGN(auto directory, ImageDirectory::open(path));
  TRY(directory.lock());
  TRY(directory.remove_leftovers());
  ImageWriter writer(std::make_unique<ImageDirectory>(std::move(directory)), options);
  TRY(writer.read_previous());
  // Made now, so that a directory that cannot be written is found before anything is stopped.
  TRY_ASSIGN(writer.tasks_, writer.create("tasks", ".pb"));
  TRY_ASSIGN(writer.memory_, writer.create("memory", ".pb"));
  TRY_ASSIGN(writer.open_files_, writer.create("files", ".pb"));
  return writer;
}

Result<void> ImageWriter::read_previous() {
  auto file = directory_->open_file(kManifest);
  if (!file && file.error().err() == ENOENT) return {};
  if (!file) return fail(std::move(file.error()).in(fmt::format("images directory {}", path())));
  auto manifest = read_manifest_file(file->get());
  previous_ = manifest ? Previous::Complete : Previous::Unreadable;
  if (!manifest) return {};
  for (const auto& it : manifest->files())
    if (is_image_name(it.name())) previous_files_.insert(it.name());
  return {};
}

Result<TemporaryFile*> ImageWriter::create(std::string_view stem, std::string_view suffix) {
  std::string name = fmt::format("{}{}", stem, suffix);
  for (unsigned n = 2; previous_files_.contains(name); ++n) name = fmt::format("{}.{}{}", stem, n, suffix);
  if (!is_image_name(name)) return fail(Error::bug(fmt::format("\"{}\" is no name for an image file", name)));
  std::scoped_lock lock(*mutex_);
  if (files_.contains(name)) return fail(Error::bug(fmt::format("image file {} made twice", name)));
  TRY_ASSIGN(TemporaryFile file, directory_->create(name));
  return &files_.emplace(std::move(name), std::move(file)).first->second;
}

Result<RawImage> ImageWriter::create_raw(std::string_view stem) {
  TRY_ASSIGN(TemporaryFile * file, create(stem, ".img"));
  return RawImage{.name = file->name(), .fd = file->fd()};
}

void ImageWriter::discard_raw(std::string_view name) {
  std::scoped_lock lock(*mutex_);
  files_.erase(std::string(name));
}

Result<void> ImageWriter::finish(const Model& model, pb::Manifest& manifest) {
  // What a reader would refuse must not be published: the targets may be killed for it.
  TRY(validate(model), "model");
  TRY(write_metadata(model));
  TRY(describe_host(model, manifest));
  TRY(checksum_all(manifest));
  TRY(check_references(model, manifest), "model");
  TRY_ASSIGN(TemporaryFile last, write_manifest(manifest));
  if (options_.durable) TRY(make_durable(last));
  return publish_all(std::move(last));
}

Result<void> ImageWriter::write_metadata(const Model& model) {
  TRY(write_message(model.tasks, *tasks_));
  TRY(write_message(model.memory, *memory_));
  TRY(write_message(model.files, *open_files_));
  return {};
}

Result<void> ImageWriter::describe_host(const Model& model, pb::Manifest& manifest) const {
  utsname host;
  if (uname(&host) != 0) return fail(Error::system("uname"));
  auto now = std::chrono::system_clock::now().time_since_epoch();
  manifest.set_format_version(kFormatVersion);
  manifest.set_program_version(BPFCKPT_VERSION);
  manifest.set_kernel_release(host.release);
  manifest.set_architecture(host.machine);
  manifest.set_page_size(static_cast<std::uint32_t>(sysconf(_SC_PAGESIZE)));
  manifest.set_created_unix_ns(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
  manifest.set_boot_id(boot_id());
  manifest.set_root_pid(model.tasks.processes(0).pid());  // validate() has seen it
  manifest.set_tasks_image(tasks_->name());
  manifest.set_memory_image(memory_->name());
  manifest.set_files_image(open_files_->name());
  return {};
}

Result<void> ImageWriter::checksum_all(pb::Manifest& manifest) {
  std::vector<ChecksumFile> written;
  for (const auto& [name, file] : files_) {
    TRY_ASSIGN(std::uint64_t size, file_size(file.fd()), "{}", name);
    // Writing back begins now and goes on under the checksums.
    if (options_.durable) sync_file_range(file.fd(), 0, 0, SYNC_FILE_RANGE_WRITE);
    written.push_back({.fd = file.fd(), .size_bytes = size, .name = name});
  }
  FileChecksums checksums(written);
  TRY(checksums.read(FileChecksums::Blocks::Missing, options_.threads));
  manifest.clear_files();
  for (std::size_t i = 0; i < written.size(); ++i) {
    auto* entry = manifest.add_files();
    entry->set_name(std::string(written[i].name));
    entry->set_size(written[i].size_bytes);
    entry->set_xxh3(checksums.of(i));
  }
  return {};
}

Result<TemporaryFile> ImageWriter::write_manifest(const pb::Manifest& manifest) {
  TRY_ASSIGN(std::string bytes, encode_manifest(manifest));
  TRY_ASSIGN(TemporaryFile file, directory_->create(std::string(kManifest)));
  TRY(write_fully(file.fd(), bytes, 0), "{}", kManifest);
  return file;
}

// All files are begun before the first is waited for, the manifest among them, which has no name yet: on a
// journalling file system the first fsync() then commits what the others need, too.
Result<void> ImageWriter::make_durable(const TemporaryFile& manifest) {
  sync_file_range(manifest.fd(), 0, 0, SYNC_FILE_RANGE_WRITE);
  for (const auto& [name, file] : files_)
    if (fsync(file.fd()) != 0) return fail(Error::system("fsync").in(name));
  if (fsync(manifest.fd()) != 0) return fail(Error::system("fsync").in(std::string(kManifest)));
  return {};
}

Result<void> ImageWriter::publish_all(TemporaryFile last) {
  // From here on the pending manifest tells the next writer what to remove, should this one be killed.
  TRY(last.stage());
  // A manifest that cannot be read might name any file; it must not vouch for ours.
  if (previous_ == Previous::Unreadable) {
    directory_->remove(std::string(kManifest));
    if (options_.durable) TRY(directory_->sync());
  }
  std::vector<std::string> published;
  bool exchanged = false;
  auto publish = [&]() -> Result<void> {
    for (auto& [name, file] : files_) {
      TRY(file.publish());
      published.push_back(name);
    }
    // Where there is no older checkpoint to lose, one sync is enough for all names: a manifest whose files
    // are missing after a crash is refused, and nobody was told of it yet.
    if (options_.durable && previous_ == Previous::Complete) TRY(directory_->sync());
    TRY_ASSIGN(exchanged, last.exchange());
    published.emplace_back(kManifest);
    if (options_.durable) TRY(directory_->sync());
    return {};
  };
  if (auto done = publish(); !done) {
    if (exchanged) {
      (void)last.exchange();  // the older checkpoint again; ours is temporary and goes
      published.pop_back();
    }
    for (const auto& name : published) directory_->remove(name);
    return done;
  }

  for (const auto& name : previous_files_) directory_->remove(name);
  return {};
}

void ImageWriter::withdraw() {
  directory_->remove(std::string(kManifest));
  for (const auto& [name, file] : files_) directory_->remove(name);
}

}  // namespace bpfckpt::image
