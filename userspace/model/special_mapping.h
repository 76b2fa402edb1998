// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

namespace bpfckpt {

// A mapping that the kernel put there: "[vdso]", "[vvar]", "[vvar_vclock]". [start, end).
struct SpecialMapping {
  std::string name;
  std::uint64_t start = 0;
  std::uint64_t end = 0;
};

}  // namespace bpfckpt
