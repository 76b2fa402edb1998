// SPDX-License-Identifier: Apache-2.0
#include "cmd/dump.h"

#include <google/protobuf/util/json_util.h>

#include "base/memory.h"
#include "cmd/shape.h"
#include "cmd/stages.h"
#include "dump/dump.h"

namespace bpfckpt {
namespace {

void print_stats(const pb::Stats& stats, bool json, std::ostream& out) {
  if (json) {
    google::protobuf::util::JsonPrintOptions print;
    print.always_print_primitive_fields = true;
    print.preserve_proto_field_names = true;
    std::string text;
    (void)google::protobuf::util::MessageToJsonString(stats, &text, print);
    out << text << "\n";
    return;
  }
  out << fmt::format(
      "freezing {:.2f} ms, frozen {:.2f} ms (collect {:.2f}, pages {:.2f}), total {:.2f} ms\n"
      "{} processes, {} threads, {} mappings, {} files, {} pages written, {} shared\n",
      stats.freezing_us() / 1e3, stats.frozen_us() / 1e3, stats.collect_us() / 1e3, stats.pages_us() / 1e3,
      stats.total_us() / 1e3, stats.processes(), stats.threads(), stats.vmas(), stats.files(),
      stats.pages_written(), stats.pages_shared());
}

}  // namespace

Result<int> run_dump(const DumpOptions& options, std::ostream& out) {
  put_heap_in_huge_pages();
  dump::Options dump;
  dump.root = static_cast<pid_t>(options.pid);
  dump.images_dir = options.common.images_dir;
  dump.policy = options.policy;
  dump.timeout = std::chrono::milliseconds(options.timeout_ms == 0 ? INT32_MAX : options.timeout_ms);
  dump.sync = options.sync;
  if (options.leave_running) dump.after = dump::After::LeaveRunning;
  if (options.leave_stopped) dump.after = dump::After::LeaveStopped;
  dump.at_stage = [&](const char* stage) {
    return run_action_scripts(options.tree.action_scripts, stage, options.common.images_dir, dump.root);
  };
  dump.find_shape = [](const Model& model, const std::vector<SpecialMapping>& special, const auto& again) {
    return again ? find_lasting_shape(model, special, again) : find_shape(model, special);
  };
  MoreDescriptors more;
  TRY_ASSIGN(pb::Stats stats, dump::dump(dump));
  if (options.tree.display_stats) print_stats(stats, options.common.json, out);
  TRY(signal_ready(options.tree.status_fd));
  return 0;
}

}  // namespace bpfckpt
