// SPDX-License-Identifier: Apache-2.0
// How people and options call a file.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "model/model.h"

namespace bpfckpt::kinds {

// One short name for messages: a path, "pipe:[4711]", "/memfd:name".
std::string describe_name(const pb::File& file);

// "dev[10/232]", by decimal numbers.
std::string device_name(const pb::File& file);

// All names by which --inherit-fd and --external may mean this file: "pipe:[ino]", "socket:[ino]",
// "file[mnt:ino]" (both hexadecimal), "tty[rdev:dev]" (both hexadecimal), "dev[major/minor]" and the names
// that `externals` give to it ("dev[major/minor]:NAME"), "/memfd:name", the path with and without its leading
// slash.
std::vector<std::string> external_names(const pb::File& file, std::span<const std::string> externals);

// Is it one of those?
bool is_external(const pb::File& file, std::span<const std::string> externals);

// Is it so as a device ("dev[major/minor]:NAME")? Such a one is opened again if nobody gives it.
bool is_external_device(const pb::File& file, std::span<const std::string> externals);

}  // namespace bpfckpt::kinds
