// SPDX-License-Identifier: Apache-2.0
// Kinds whose files can be described when the tree goes on again (collect/late_details.h).
#pragma once

#include <span>
#include <string_view>

#include "kinds/kind.h"

namespace bpfckpt::kinds {

// Are files of that kind settled, and judged, only then?
bool is_described_late(std::string_view kind);
// Do the record and the items of its list say all that there is to say about the file, with no file in
// flight?
bool can_wait(const file_record& record, std::span<const record_head* const> items);

// unix.cc
bool unix_can_wait(const file_record& record, std::span<const record_head* const> items);

}  // namespace bpfckpt::kinds
