// SPDX-License-Identifier: Apache-2.0
// The manifest as a file: a header of 32 bytes (magic, format version, length, checksum) before the message,
// so that damage to the one file that vouches for all others is seen too.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "images/manifest.pb.h"

namespace bpfckpt::image {

inline constexpr std::uint32_t kFormatVersion = 1;

Result<std::string> encode_manifest(const pb::Manifest& manifest);
// Reads from the file's beginning. Error::BadImage if it is not a manifest of a known version, or damaged.
// Says nothing of what the manifest tells.
Result<pb::Manifest> read_manifest_file(int fd);

}  // namespace bpfckpt::image
