// SPDX-License-Identifier: Apache-2.0
// Ghost files: what lost its last name and exists only through its openers and mappings.
//
// Its bytes travel with the checkpoint, holes left out, and at restore it is made under its old name and
// loses it again before anybody else could come to depend on it. Kept besides: type, permissions, owner,
// times of access and change, extended attributes. Not kept: its inode number, its time of birth.
#pragma once

#include "images/kinds/regular.pb.h"
#include "kinds/kind.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {

// With which flags to open(2) what the description has.
std::uint32_t opening_flags(const pb::File& file);

// What can be a ghost: regular files, directories, symbolic links.
bool can_be_ghost(std::uint32_t mode);

// Takes bytes, times and attributes of the ghost behind the borrowed `fd`, which may be an O_PATH one.
Result<void> take_ghost(EnrichContext& context, int fd, pb::GhostFile& ghost);

// Plans a ghost file or link that was called `file.path()`; its directory is there. Leaves a descriptor as
// the object's. The times of a file are set when it is mapped and all its bytes are there.
Result<void> make_ghost(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object,
                        const pb::GhostFile& ghost);

// Owner, permissions and attributes of a ghost directory that is open as `fd`; its times, when nothing will
// be made in it any more.
Result<void> dress_ghost(PlanBuilder& plan, Operand fd, const pb::GhostFile& ghost);
void set_ghost_times(PlanBuilder& plan, Operand fd, const pb::GhostFile& ghost);

}  // namespace bpfckpt::kinds
