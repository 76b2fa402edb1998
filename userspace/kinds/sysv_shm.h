// SPDX-License-Identifier: Apache-2.0
// Attached System V segments: what kinds/sysv_shm.cc and restore/segments_plan.cc have in common.
#pragma once

#include <optional>

#include "base/result.h"
#include "images/kinds/sysv_shm.pb.h"
#include "model/model.h"

namespace bpfckpt::kinds {

// Bits of SysvSegment.mode besides the permissions: include/uapi/linux/shm.h
inline constexpr std::uint32_t kSegmentRemoved = 01000;  // SHM_DEST: goes with the last who has it attached
inline constexpr std::uint32_t kSegmentLocked = 02000;   // SHM_LOCKED

// Null: the mapping is none of a segment.
const pb::FileObject* attached_object(const ModelIndex& index, const pb::Vma& vma);

// What was seen of it, as it is; nothing: it is another object.
std::optional<pb::SysvSegment> seen_segment(const pb::FileObject& object);

// The segment behind an attachment's object. BadImage: impossible.
Result<pb::SysvSegment> unpack_segment(const pb::FileObject& object);

// Of a mapping of all of it.
std::uint64_t mapped_bytes(const pb::SysvSegment& segment);

// "System V segment 20 (key 0x00aa2013)"
std::string segment_name(const pb::SysvSegment& segment);

}  // namespace bpfckpt::kinds
