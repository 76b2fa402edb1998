// SPDX-License-Identifier: Apache-2.0
// What is kept of each kind, for people.
#pragma once

#include <string>

namespace bpfckpt::kinds {

// The table of docs/kinds.md (Markdown), from the rows of the registry, by name; "unsupported" comes last.
std::string table();

}  // namespace bpfckpt::kinds
