// SPDX-License-Identifier: Apache-2.0
// Whole-file reads and writes at an offset, without short counts.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"

namespace bpfckpt::image {

// Writes all of `bytes` at `offset`.
Result<void> write_fully(int fd, std::string_view bytes, std::uint64_t offset);
// Fills `out` from `offset`; the end of the file before that is Error::BadImage.
Result<void> read_fully(int fd, std::span<std::byte> out, std::uint64_t offset);
// The whole file; longer than `limit_bytes` is Error::BadImage.
Result<std::string> read_whole_file(int fd, std::uint64_t limit_bytes);
Result<std::uint64_t> file_size(int fd);

}  // namespace bpfckpt::image
