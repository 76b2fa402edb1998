// SPDX-License-Identifier: Apache-2.0
// Options files: long options without their dashes, one a line, the value after white space or '='; a value
// may stand in double quotes; '#' begins a comment.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace bpfckpt::cli {

struct ConfigLine {
  std::string option;  // without dashes
  std::string value;
  bool has_value = false;
  std::string where;  // "FILE:LINE", for errors
};

Result<std::vector<ConfigLine>> parse_config(std::string_view text, const std::string& path);

// A file that does not exist is an error only where it `must_exist`.
Result<std::vector<ConfigLine>> read_config(const std::string& path, bool must_exist);

}  // namespace bpfckpt::cli
