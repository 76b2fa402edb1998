// SPDX-License-Identifier: Apache-2.0
#include "cmd/clean.h"

#include "image/directory.h"
#include "kernel/bpffs.h"

namespace bpfckpt {

Result<int> run_clean(const CleanOptions& options, std::ostream& out) {
  image::Leftovers left;
  if (options.images) {
    TRY_ASSIGN(auto directory, image::ImageDirectory::open(options.common.images_dir));
    TRY(directory.lock());
    TRY_ASSIGN(left, directory.remove_leftovers());
  }
  TRY_ASSIGN(int pins, kernel::remove_pins());
  if (options.common.json)
    out << fmt::format(R"({{"pins":{},"files":{},"links":{}}})", pins, left.files, left.links) << '\n';
  else
    out << fmt::format("removed: pinned programs: {}, unfinished image files: {}, names of files: {}\n", pins,
                       left.files, left.links);
  return 0;
}

}  // namespace bpfckpt
