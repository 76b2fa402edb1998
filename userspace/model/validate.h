// SPDX-License-Identifier: Apache-2.0
// The parts of validate(), one a metadata file. Each checks its own messages and that their references
// resolve in the index; ids that are used twice have been refused before.
#pragma once

#include <google/protobuf/stubs/common.h>

#include <string_view>
#include <unordered_set>

#include "base/result.h"
#include "model/model.h"

namespace bpfckpt::validation {

Result<void> check_tasks(const pb::Tasks& tasks, const ModelIndex& index);
Result<void> check_memory(const pb::Memory& memory, const ModelIndex& index);
Result<void> check_files(const pb::Files& files, const ModelIndex& index);

// Ids begin at 1 and are used once.
template <class Messages>
Result<void> check_ids(const Messages& messages, std::string_view what) {
  std::unordered_set<std::uint32_t> seen;
  for (const auto& it : messages)
    if (it.id() == 0 || !seen.insert(it.id()).second)
      return fail(Error::bad_image(fmt::format("{} id {} is zero or used twice", what, it.id())));
  return {};
}

// `return refuse("vma {:#x}: empty", start)`
template <class... Args>
Failure refuse(fmt::format_string<Args...> format, Args&&... args) {
  return fail(Error::bad_image(fmt::format(format, std::forward<Args>(args)...)));
}

// Protobuf writes a string that is not UTF-8, but does not read it again. Bytes from the kernel that are no
// text are written as \xNN by who puts them into the model.
inline bool is_text(std::string_view text, std::size_t max_bytes) {
  return text.size() <= max_bytes &&
         google::protobuf::internal::IsStructurallyValidUTF8(text.data(), static_cast<int>(text.size()));
}

// Longest path that the kernel's d_path() can give is a page; the longest name of anything else is shorter.
inline constexpr std::size_t kMaxPathBytes = 4096;
inline constexpr std::size_t kMaxNameBytes = 256;

}  // namespace bpfckpt::validation
