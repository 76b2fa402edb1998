// SPDX-License-Identifier: Apache-2.0
#include "cmd/check.h"

#include <sys/utsname.h>

#include <utility>
#include <vector>

#include "cmd/report.h"
#include "kernel/features.h"

namespace bpfckpt {
namespace {

struct Row {
  const kernel::Feature* feature;
  kernel::Presence presence;
};

Result<std::vector<const kernel::Feature*>> wanted(const CheckOptions& options) {
  std::vector<const kernel::Feature*> rows;
  for (const auto& name : options.features) {
    const auto* feature = kernel::find_feature(name);
    if (feature == nullptr) {
      std::string known;
      for (const auto& row : kernel::features()) known += ' ' + std::string(row.name);
      return fail(Error::usage(fmt::format("no feature {}; there are:{}", name, known)));
    }
    rows.push_back(feature);
  }
  if (rows.empty())
    for (const auto& row : kernel::features()) rows.push_back(&row);
  return rows;
}

void print_line(const char* label, std::string_view text, std::ostream& out) {
  if (!text.empty()) out << fmt::format("{:23}{}{}\n", "", label, text);
}

// `all_of_it`: also what is of no interest where the feature is there.
void print_row(const Row& row, bool all_of_it, std::ostream& out) {
  const auto& [feature, presence] = row;
  out << fmt::format("{:3}  {:18} {}\n", presence.there ? "yes" : "no", feature->name, feature->purpose);
  if (!presence.there) print_line("", presence.detail, out);
  if (all_of_it) print_line("probed: ", feature->how, out);
  if (presence.there && !all_of_it) return;
  print_line(presence.there ? "lost without it: " : "lost: ", feature->lost, out);
  print_line(presence.there ? "fallback: " : "instead: ", feature->fallback, out);
}

void print_text(const std::vector<Row>& rows, bool by_name, bool good, std::ostream& out) {
  bool kept = false;
  for (const Row& row : rows) {
    if (row.feature->need == kernel::Feature::Need::Kept && !std::exchange(kept, true) && rows.size() > 1)
      out << "\nWhat programs may use, and a checkpoint keeps or names:\n";
    print_row(row, by_name, out);
  }
  if (good) out << (kept && rows.size() > 1 ? "\n" : "") << "Looks good.\n";
}

void print_json(const std::vector<Row>& rows, bool good, std::ostream& out) {
  utsname name{};
  ::uname(&name);
  out << fmt::format(R"({{"kernel":{},"good":{},"features":[)", json_quote(name.release), good);
  const char* separator = "";
  for (const auto& [feature, presence] : rows) {
    out << fmt::format(
        R"({}{{"name":{},"there":{},"need":{},"required":{},"detail":{},"purpose":{},"how":{},"lost":{},)"
        R"("fallback":{}}})",
        separator, json_quote(feature->name), presence.there, json_quote(to_string(feature->need)),
        feature->required(), json_quote(presence.detail), json_quote(feature->purpose),
        json_quote(feature->how), json_quote(feature->lost), json_quote(feature->fallback));
    separator = ",";
  }
  out << "]}\n";
}

}  // namespace

Result<int> run_check(const CheckOptions& options, std::ostream& out) {
  TRY_ASSIGN(auto features, wanted(options));
  bool good = true;
  std::vector<Row> rows;
  for (const auto* feature : features) {
    rows.push_back({feature, feature->probe()});
    // Who asks for a feature by name wants that feature, not what stands in for it.
    bool matters = feature->required() || !options.features.empty();
    good = good && (rows.back().presence.there || !matters);
  }
  if (options.common.json)
    print_json(rows, good, out);
  else
    print_text(rows, !options.features.empty(), good, out);
  return good ? 0 : 1;
}

}  // namespace bpfckpt
