// SPDX-License-Identifier: Apache-2.0
#include "kinds/table.h"

#include <algorithm>

#include "kinds/kind.h"

namespace bpfckpt::kinds {

std::string table() {
  std::vector<const Kind*> kinds(all().begin(), all().end());
  std::ranges::sort(kinds, {},
                    [](const Kind* kind) { return std::pair(kind->name == "unsupported", kind->name); });
  std::string text = "| kind | kept | not kept | refused |\n| --- | --- | --- | --- |\n";
  for (const Kind* kind : kinds)
    text += fmt::format("| {} | {} | {} | {} |\n", kind->name, kind->kept, kind->not_kept, kind->refused);
  return text;
}

}  // namespace bpfckpt::kinds
