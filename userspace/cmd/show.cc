// SPDX-License-Identifier: Apache-2.0
#include "cmd/show.h"

#include "cmd/show_dot.h"
#include "cmd/show_html.h"
#include "cmd/show_json.h"
#include "cmd/show_text.h"

namespace bpfckpt {

Result<int> run_show(const ShowOptions& options, std::ostream& out) {
  TRY_ASSIGN(auto reader, image::ImageReader::open(options.common.images_dir));
  if (options.as == ShowOptions::As::Dot) {
    print_dot(draw(reader), out);
  } else if (options.as == ShowOptions::As::Html) {
    print_html(draw(reader), out);
  } else if (options.common.json) {
    TRY_ASSIGN(std::string json, checkpoint_as_json(reader, options.pid));
    out << json;
  } else if (options.pid == 0) {
    print_checkpoint(reader, options.width, out);
  } else {
    const auto* process = reader.index().process(options.pid);
    if (process == nullptr)
      return fail(Error::usage(fmt::format("no process {} in the checkpoint", options.pid)));
    print_process(reader, *process, options.width, out);
  }
  return 0;
}

}  // namespace bpfckpt
