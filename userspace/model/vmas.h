// SPDX-License-Identifier: Apache-2.0
// What several ask of mappings.
#pragma once

#include <algorithm>

#include "model/model.h"

namespace bpfckpt {

// Its pages may be the process's own.
inline bool is_private(const pb::Vma& vma) {
  return vma.kind() == pb::ANONYMOUS_PRIVATE || vma.kind() == pb::FILE_PRIVATE;
}

// By a userfaultfd: a page that is not there must stay away.
inline bool is_watched(const pb::Vma& vma) {
  return vma.userfaultfd_file_id() != 0;
}
inline bool is_watched(const pb::AddressSpace& mm) {
  return std::ranges::any_of(mm.vmas(), [](const pb::Vma& vma) { return is_watched(vma); });
}

}  // namespace bpfckpt
