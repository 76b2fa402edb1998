// SPDX-License-Identifier: Apache-2.0
// Reads a checkpoint, and believes nothing: the manifest must carry its own checksum, every file must be
// there with the size that the manifest says, the metadata must have its checksum, parse, and pass
// validate(), and every reference into a raw file must lie inside of it. What open() returned can be used
// without further checks, but for the bytes of raw files, which verify_contents() checks.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/fd.h"
#include "base/result.h"
#include "image/directory.h"
#include "images/manifest.pb.h"
#include "model/model.h"

namespace bpfckpt::image {

class ImageReader {
 public:
  // Error::BadImage if there is no complete checkpoint, if it is damaged, or if its version is not known
  // here.
  static Result<ImageReader> open(const std::string& path);

  const pb::Manifest& manifest() const { return *manifest_; }
  const Model& model() const { return *model_; }
  const ModelIndex& index() const { return *index_; }
  // For a restore that makes less than there is. What is in the model stays where it is: only details may
  // change.
  Model& model_to_change() { return *model_; }

  // A raw file of the checkpoint, for reading; the caller owns the descriptor. Its size is the manifest's.
  Result<Fd> open_raw(std::string_view name) const;
  // Size in bytes by the manifest, or -1 if the checkpoint has no such file.
  std::int64_t size_of(std::string_view name) const;

  // Checks the contents of every raw file, by `threads` threads (0: one a processor). Error::BadImage names
  // the first damaged file.
  Result<void> verify_contents(unsigned threads = 0) const;

  // Error::Conflict if this machine cannot run what the checkpoint holds: architecture or page size differ.
  Result<void> check_machine() const;

  const std::string& path() const { return directory_->path(); }

 private:
  ImageReader() = default;
  Result<void> read_manifest();
  Result<void> read_model();

  // On the heap: what points into them stays good when the reader moves.
  std::unique_ptr<ImageDirectory> directory_;
  std::unique_ptr<pb::Manifest> manifest_;
  std::unordered_map<std::string, const pb::ImageFile*> files_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<ModelIndex> index_;
};

}  // namespace bpfckpt::image
