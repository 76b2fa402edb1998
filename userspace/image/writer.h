// SPDX-License-Identifier: Apache-2.0
// Writes a checkpoint. Nothing of it is to be seen in the directory before finish() succeeds; an older
// complete checkpoint in the same directory stays complete until that instant, and goes then.
//
//   TRY_ASSIGN(ImageWriter writer, ImageWriter::open(dir));       // before the freeze
//   TRY_ASSIGN(RawImage pages, writer.create_raw("pages-1"));     // before the freeze
//   ... pages.fd is written, address_space.add_page_images(pages.name) ...
//   TRY(writer.finish(model, manifest));                          // after it
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "image/directory.h"
#include "image/link_record.h"
#include "images/manifest.pb.h"
#include "model/model.h"

namespace bpfckpt::image {

// A raw file of the checkpoint. The writer owns the descriptor, which is open for reading and writing and
// stays so until the writer goes. Bytes may be written in any order and by other processes.
struct RawImage {
  std::string name;  // for the model: AddressSpace.page_images, Content.image
  int fd = -1;
};

class ImageWriter {
 public:
  struct Options {
    // When finish() returns, all of it is on the disk: every file before it gets its name, the names of the
    // others before the manifest's. Without it a crash of the machine (not of bpfckpt) may lose or damage the
    // checkpoint; the checksums tell.
    bool durable = true;
    // Checksums are made by that many threads; 0: one a processor.
    unsigned threads = 0;
  };

  // The directory must exist. Fails with a clear error where nothing can be written (read-only, no
  // permission), and with Error::Conflict where another process writes a checkpoint into it. Removes what a
  // killed writer left.
  static Result<ImageWriter> open(const std::string& path, Options options);
  static Result<ImageWriter> open(const std::string& path) { return open(path, Options{}); }

  // A fresh raw file. `stem` is unique in the checkpoint; the name that it gets is "STEM.img", or another one
  // if an older checkpoint in the directory uses that. Safe from several threads.
  Result<RawImage> create_raw(std::string_view stem);
  // Forgets a raw file again: nothing was written that is worth keeping.
  void discard_raw(std::string_view name);

  // The list of names that are made outside of the directory; to be made before the first of them. It goes
  // before the writer does.
  Result<LinkRecord> record_links() { return LinkRecord::open(*directory_); }

  // Checks the model, writes the metadata, makes the checksums, and publishes everything, the manifest last.
  // Fills in the manifest what is known here: versions, files, architecture, page size, kernel, boot
  // id, time and root pid; the caller has set CPU, options and stats. May be called once.
  // After a failure there is no new manifest, and nothing is left once the writer is gone.
  Result<void> finish(const Model& model, pb::Manifest& manifest);
  // After finish(): takes the checkpoint back, the manifest first.
  void withdraw();

  const std::string& path() const { return directory_->path(); }

 private:
  explicit ImageWriter(std::unique_ptr<ImageDirectory> directory, Options options);
  Result<void> read_previous();
  Result<TemporaryFile*> create(std::string_view stem, std::string_view suffix);
  Result<void> describe_host(const Model& model, pb::Manifest& manifest) const;
  Result<void> write_metadata(const Model& model);
  Result<void> checksum_all(pb::Manifest& manifest);
  Result<TemporaryFile> write_manifest(const pb::Manifest& manifest);
  Result<void> make_durable(const TemporaryFile& manifest);
  Result<void> publish_all(TemporaryFile manifest);

  std::unique_ptr<ImageDirectory> directory_;  // files_ point into it
  Options options_;
  // The complete checkpoint that is in the directory already: the names of its files are not to be touched.
  enum class Previous { None, Complete, Unreadable } previous_ = Previous::None;
  std::set<std::string> previous_files_;
  std::unique_ptr<std::mutex> mutex_;           // of files_
  std::map<std::string, TemporaryFile> files_;  // by name, metadata included
  TemporaryFile* tasks_ = nullptr;              // in files_
  TemporaryFile* memory_ = nullptr;
  TemporaryFile* open_files_ = nullptr;
};

}  // namespace bpfckpt::image
