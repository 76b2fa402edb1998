// SPDX-License-Identifier: Apache-2.0
// Checksums of image files, against damage (not against an attacker).
//
// A file is cut into blocks of 4 MiB; its checksum is XXH3-64 over the blocks' XXH3-64s (8 bytes each,
// little-endian). One stream over the whole file would have to be made by one thread after the other: this
// way all processors work on one big page file.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"

namespace bpfckpt::image {

inline constexpr std::uint64_t kChecksumBlockBytes = 4 << 20;

std::uint64_t checksum_bytes(std::string_view bytes);

struct ChecksumJob {
  int fd = -1;
  std::uint64_t size_bytes = 0;
  std::string_view name;       // for the error
  std::uint64_t checksum = 0;  // out
};
// Reads all files, by `threads` threads (0: one a processor). Error::BadImage if a file is shorter than its
// job says.
Result<void> checksum_files(std::span<ChecksumJob> jobs, unsigned threads);

}  // namespace bpfckpt::image
