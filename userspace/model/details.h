// SPDX-License-Identifier: Apache-2.0
// What can be done with the messages of kinds (the Any fields of files) without knowing the kinds.
#pragma once

#include <google/protobuf/any.pb.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "images/memory.pb.h"

namespace bpfckpt {

// Of x86-64; an architecture with another one brings its own constant.
inline constexpr std::uint64_t kPageSize = 4096;

// The message in `detail`. Error::BadImage if its type is not one of ours or its bytes do not parse.
Result<std::unique_ptr<google::protobuf::Message>> unpack(const google::protobuf::Any& detail);
// Calls `visit` for every Content in `detail`, however deep; stops at the first error.
Result<void> for_each_content(const google::protobuf::Any& detail,
                              const std::function<Result<void>(const pb::Content&)>& visit);
// For text from the kernel or from an image on its way to people: control characters and bytes that are not
// ASCII become \xNN, as does the backslash.
std::string printable(std::string_view text);
// What printable() was given.
std::string from_printable(std::string_view text);

}  // namespace bpfckpt
