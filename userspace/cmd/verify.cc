// SPDX-License-Identifier: Apache-2.0
#include "cmd/verify.h"

#include "cmd/text.h"
#include "image/reader.h"

namespace bpfckpt {

Result<int> run_verify(const VerifyOptions& options, std::ostream& out) {
  TRY_ASSIGN(auto reader, image::ImageReader::open(options.common.images_dir));
  TRY(reader.verify_contents());
  std::uint64_t bytes = 0;
  for (const auto& it : reader.manifest().files()) bytes += it.size();
  int files = reader.manifest().files_size();
  int processes = reader.model().tasks.processes_size();
  if (options.common.json)
    out << fmt::format("{{\"ok\":true,\"files\":{},\"bytes\":{},\"processes\":{}}}\n", files, bytes,
                       processes);
  else
    out << fmt::format("{}: complete and undamaged: {} processes, {} files, {}\n", reader.path(), processes,
                       files, human_size(bytes));
  return 0;
}

}  // namespace bpfckpt
