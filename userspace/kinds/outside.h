// SPDX-License-Identifier: Apache-2.0
// What a tree shares with processes that do not travel with it.
#pragma once

#include <string>

#include "model/model.h"

namespace bpfckpt::kinds {

// "1 reader and 2 writers" that a pipe has outside of the tree; empty: none, or no pipe.
std::string outside_ends(const pb::FileObject& object);

}  // namespace bpfckpt::kinds
