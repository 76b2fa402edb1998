// SPDX-License-Identifier: Apache-2.0
// Checksums of image files, against damage (not against an attacker).
//
// A file is cut into blocks of 4 MiB; its checksum is XXH3-64 over the blocks' XXH3-64s (8 bytes each,
// little-endian). One stream over the whole file would have to be made by one thread after the other: this
// way all processors work on one big page file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bpfckpt::image {

inline constexpr std::uint64_t kChecksumBlockBytes = 4 << 20;

std::uint64_t checksum_bytes(std::string_view bytes);

// The checksum of one block, whose bytes come in pieces, in order.
class BlockChecksum {
 public:
  BlockChecksum();
  ~BlockChecksum();
  BlockChecksum(const BlockChecksum&) = delete;
  BlockChecksum& operator=(const BlockChecksum&) = delete;

  void begin();
  void add(std::span<const std::byte> bytes);
  std::uint64_t value() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

struct ChecksumFile {
  int fd = -1;
  std::uint64_t size_bytes = 0;
  std::string_view name;  // for the error
};

// The checksums of some files, whose blocks can come from who reads them anyway.
class FileChecksums {
 public:
  // Files, by their index from now on, and their names stay as long as the object.
  explicit FileChecksums(std::span<const ChecksumFile> files);

  // read() leaves the block at byte `offset`, a multiple of a block's, to somebody else. Not while read()
  // runs.
  void leave_out(std::size_t file, std::uint64_t offset);
  // Its checksum. From any thread, also while read() runs.
  void give(std::size_t file, std::uint64_t offset, std::uint64_t checksum);

  enum class Blocks : std::uint8_t { NotLeftOut, Missing };
  // Reads blocks, by `threads` threads (0: one a processor): all that are not left to others, or all that are
  // still missing. Error::BadImage if a file is shorter than was said.
  Result<void> read(Blocks which, unsigned threads);

  // Precondition: none is missing.
  std::uint64_t of(std::size_t file) const;

 private:
  struct Block {
    std::size_t file;
    std::uint64_t offset;
    std::uint64_t len_bytes;
    std::uint64_t checksum = 0;
    bool left_out = false;
    bool known = false;
  };

  Block& at(std::size_t file, std::uint64_t offset);

  std::vector<ChecksumFile> files_;
  std::vector<std::size_t> first_;  // block of each file
  std::vector<Block> blocks_;
};

}  // namespace bpfckpt::image
