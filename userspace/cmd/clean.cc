// SPDX-License-Identifier: Apache-2.0
#include "cmd/clean.h"

#include "image/directory.h"
#include "kernel/bpffs.h"

namespace bpfckpt {

Result<int> run_clean(const CleanOptions& options, std::ostream& out) {
  unsigned files = 0;
  if (options.images) {
    TRY_ASSIGN(auto directory, image::ImageDirectory::open(options.common.images_dir));
    TRY(directory.lock());
    TRY_ASSIGN(files, directory.remove_leftovers());
  }
  TRY_ASSIGN(int pins, kernel::remove_pins());
  if (options.common.json)
    out << fmt::format(R"({{"pins":{},"files":{}}})", pins, files) << '\n';
  else
    out << fmt::format("removed: pinned programs: {}, unfinished image files: {}\n", pins, files);
  return 0;
}

}  // namespace bpfckpt
