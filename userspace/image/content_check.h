// SPDX-License-Identifier: Apache-2.0
// Holds the contents of a checkpoint's files against the checksums in its manifest.
//
// A restore reads large images once: who puts pages into place gives the checksums of what it has read, so
// that what was checked is what is there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "image/checksum.h"
#include "image/reader.h"

namespace bpfckpt::image {

class ContentCheck {
 public:
  // `reader` outlives the object.
  static Result<ContentCheck> open(const ImageReader& reader);

  // Whether bytes [offset, offset + len_bytes) are one whole block of the file: only such ones can be given.
  bool is_block(std::string_view file, std::uint64_t offset, std::uint64_t len_bytes) const;
  // The block comes from somebody else: read_others() leaves it out. Precondition: is_block().
  void expect(std::string_view file, std::uint64_t offset);
  // From any thread, also while read_others() runs.
  void give(std::string_view file, std::uint64_t offset, std::uint64_t checksum);

  // Reads what is not expected, in the calling thread.
  Result<void> read_others();
  // Reads what has not come, by `threads` threads (0: one a processor), and compares. Error::BadImage names
  // the first damaged file.
  Result<void> finish(unsigned threads = 0);

 private:
  explicit ContentCheck(const ImageReader& reader) : reader_(reader) {}
  std::optional<std::size_t> index_of(std::string_view file) const;

  const ImageReader& reader_;
  std::vector<Fd> fds_;
  std::unordered_map<std::string_view, std::size_t> by_name_;
  std::vector<std::uint64_t> sizes_;
  std::optional<FileChecksums> checksums_;
};

}  // namespace bpfckpt::image
