// SPDX-License-Identifier: Apache-2.0
// The one table of what the command line knows by name but nothing works behind yet. It is refused, never
// ignored. A row goes when its work lands.
#pragma once

#include <string_view>

#include "cmd/actions.h"

namespace bpfckpt::cli {

struct NotYet {
  std::string_view option;  // without dashes
  ActionSet actions;
};

inline constexpr NotYet kNotYet[] = {
    // Network.
    // Files.
    {"file-validation", kAnyAction},
    // The world around the tree.
    {"manage-cgroups", kAnyAction},
    {"cgroup-root", kAnyAction},
    {"freeze-cgroup", kAnyAction},
    {"root", kAnyAction},
    {"unprivileged", kAnyAction},
    {"join-ns", kAnyAction},
    // Page tracking and transport.
    {"track-mem", kAnyAction},
    {"prev-images-dir", kAnyAction},
    {"lazy-pages", kAnyAction},
    {"stream", kAnyAction},
};

// Externals are refused by what they name: "net[...]" and its like.
inline constexpr std::string_view kExternalNotYet[] = {"net", "pid", "mnt"};

}  // namespace bpfckpt::cli
