// SPDX-License-Identifier: Apache-2.0
// How people and options call a file.
#pragma once

#include <string>
#include <vector>

#include "model/model.h"

namespace bpfckpt::kinds {

// One short name for messages: a path, "pipe:[4711]", "/memfd:name".
std::string describe_name(const pb::File& file);

// All names by which --inherit-fd and --external may mean this file: "pipe:[ino]", "socket:[ino]",
// "file[mnt:ino]" (both hexadecimal), "tty[rdev:dev]" (both hexadecimal), "/memfd:name", the path with and
// without its leading slash.
std::vector<std::string> external_names(const pb::File& file);

}  // namespace bpfckpt::kinds
