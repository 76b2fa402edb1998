// SPDX-License-Identifier: Apache-2.0
#include "kinds/late.h"

#include "bpf/records.h"

namespace bpfckpt::kinds {

bool is_described_late(std::string_view kind) {
  return kind == "unix";
}

bool can_wait(const file_record& record, std::span<const record_head* const> items) {
  return record.kind == FILE_KIND_UNIX && unix_can_wait(record, items);
}

}  // namespace bpfckpt::kinds
