// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "model/special_mapping.h"

namespace bpfckpt {

// The vDSO of this process, which is that of every 64-bit process of this kernel. `special` are the special
// mappings of this process; empty: there is none among them.
inline std::span<const std::byte> own_vdso(const std::vector<SpecialMapping>& special) {
  for (const SpecialMapping& mapping : special)
    if (mapping.name == "[vdso]")
      return {reinterpret_cast<const std::byte*>(mapping.start), mapping.end - mapping.start};
  return {};
}

}  // namespace bpfckpt
