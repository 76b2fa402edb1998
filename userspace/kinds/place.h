// SPDX-License-Identifier: Apache-2.0
// Things of a directory that have lost their name and are nothing but an inode: symbolic links, sockets and
// devices. They are made again under their old name for a moment.
#pragma once

#include "kinds/kind.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {

// What is needed to make it again: a GhostFile as the object's detail.
void describe_ghost(const file_record& record, pb::FileObject& object);
// Kind::make for them; the object's descriptor is one with O_PATH.
Result<void> make_place(PlanBuilder& plan, const pb::File& file, const pb::FileObject& object);

// Opens a device by its path, or where it lost that, by its object, and leaves it as the plan's file.
Result<void> plan_device(PlanBuilder& plan, const pb::File& file, const pb::FileObject* object);

}  // namespace bpfckpt::kinds
