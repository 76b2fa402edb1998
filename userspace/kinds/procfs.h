// SPDX-License-Identifier: Apache-2.0
// What the making of processes and tables must know of files of proc.
#pragma once

#include "model/model.h"

namespace bpfckpt::kinds {

// The process that has to exist while the file is opened although it is no process of the tree; 0: none.
std::uint32_t process_to_stand_in_for(const pb::File& file);

// It can be opened only when the processes have their descriptors.
bool shows_descriptor(const pb::File& file);

// Must it be there, by its path, before the tree is?
bool outlives_tree(const pb::File& file);

}  // namespace bpfckpt::kinds
