// SPDX-License-Identifier: Apache-2.0
// What processes share by descriptors and by mappings, as rows of a picture.
#pragma once

#include <span>
#include <vector>

#include "cmd/mapped_objects.h"
#include "cmd/picture.h"

namespace bpfckpt {

// `processes` are the picture's, in its order; null: a zombie. Shared memory comes first. Whoever shares a
// table or an address space as a whole is named by the first of them.
std::vector<Picture::Shared> find_shared_things(const ModelIndex& index, const MappedObjects& mapped,
                                                std::span<const pb::Process* const> processes);

}  // namespace bpfckpt
