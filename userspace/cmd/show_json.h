// SPDX-License-Identifier: Apache-2.0
// The checkpoint as JSON.
#pragma once

#include <string>

#include "image/reader.h"

namespace bpfckpt {

// One object with the messages of the four metadata files as protobuf writes JSON, with the schemas' field
// names. With `pid` not 0 only that process and what it refers to.
Result<std::string> checkpoint_as_json(const image::ImageReader& reader, std::uint32_t pid);

}  // namespace bpfckpt
