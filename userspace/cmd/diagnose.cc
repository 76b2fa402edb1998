// SPDX-License-Identifier: Apache-2.0
#include "cmd/diagnose.h"

#include <unistd.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "base/memory.h"
#include "cmd/diagnose_all.h"
#include "cmd/report.h"
#include "cmd/shape.h"
#include "cmd/text.h"
#include "collect/collector.h"
#include "diagnose/covered.h"
#include "diagnose/holders.h"
#include "diagnose/lasting.h"
#include "diagnose/look.h"
#include "diagnose/vforks.h"
#include "model/details.h"

namespace bpfckpt {
namespace {

using diagnose::Item;
using kinds::Verdict;

constexpr unsigned kNarrowest = 40;  // a terminal narrower than that gets longer lines

const char* word(Verdict verdict) {
  switch (verdict) {
    case Verdict::Ok:
      return "ok";
    case Verdict::NeedsOption:
      return "needs option";
    case Verdict::Unsupported:
      return "unsupported";
  }
  return "?";
}

const char* json_word(Verdict verdict) {
  return verdict == Verdict::NeedsOption ? "needs-option" : word(verdict);
}

const char* word(pb::ProcessState state) {
  switch (state) {
    case pb::STOPPED:
      return "stopped";
    case pb::ZOMBIE:
      return "zombie";
    default:
      return "running";
  }
}

// The word in a column of its own, coloured.
std::string painted(Verdict verdict, const DiagnoseOptions& options) {
  std::string cell = fmt::format("{:12}", word(verdict));
  if (!options.colour) return cell;
  const char* colour = verdict == Verdict::Ok ? "32" : verdict == Verdict::NeedsOption ? "33" : "31";
  return fmt::format("\x1b[{}m{}\x1b[0m", colour, cell);
}

// Words of `text` in lines of at most `width` characters, each behind `indent`.
void print_wrapped(std::ostream& out, std::string_view text, std::size_t indent, unsigned width) {
  std::size_t room = width == 0 ? text.size() : std::max(width, kNarrowest) - indent;
  while (!text.empty()) {
    std::size_t end = text.size();
    if (end > room) {
      end = text.rfind(' ', room);
      if (end == std::string_view::npos || end == 0) end = std::min(text.find(' '), text.size());
    }
    out << std::string(indent, ' ') << text.substr(0, end) << '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

std::string why(const kinds::Finding& finding) {
  return finding.reason + (finding.hint.empty() ? "" : fmt::format(" ({} helps)", finding.hint));
}

// Areas of one file that follow one another and are all right are told as one.
std::vector<Item> merged(const std::vector<Item>& items) {
  std::vector<Item> out;
  int areas = 0;
  auto is_plain_area = [](const Item& item) {
    return item.subject.starts_with("mapping ") && item.finding.reason.empty() &&
           item.finding.verdict == Verdict::Ok;
  };
  for (const Item& item : items) {
    if (!out.empty() && is_plain_area(item) && is_plain_area(out.back()) && item.name == out.back().name) {
      std::string& subject = out.back().subject;
      subject = fmt::format("{}{} ({} areas)", subject.substr(0, subject.find('-')),
                            item.subject.substr(item.subject.find('-')), ++areas);
      continue;
    }
    areas = 1;
    out.push_back(item);
  }
  return out;
}

void print_process(const Diagnosed& process, const DiagnoseOptions& options, std::ostream& out) {
  std::vector<Item> items = merged(process.items);
  if (options.unsupported_only)
    std::erase_if(items, [](const Item& item) { return item.finding.verdict == Verdict::Ok; });
  if (items.empty()) return;
  out << fmt::format("pid {}: {}, {}\n", process.pid, printable(process.command), process.state);
  std::size_t subject_width = 0, kind_width = 0;
  for (const Item& item : items) {
    subject_width = std::max(subject_width, item.subject.size());
    kind_width = std::max(kind_width, item.kind.size());
  }
  constexpr std::size_t kVerdictColumns = 2 + 12 + 2;
  for (const Item& item : items) {
    std::string rest = fmt::format("{:{}}  {:{}}  {}", item.subject, subject_width, item.kind, kind_width,
                                   printable(item.name));
    rest.erase(rest.find_last_not_of(' ') + 1);
    unsigned room =
        options.width == 0 ? 0 : std::max(options.width, kNarrowest) - static_cast<unsigned>(kVerdictColumns);
    out << "  " << painted(item.finding.verdict, options) << "  " << cut(rest, room) << '\n';
    if (!item.finding.reason.empty())
      print_wrapped(out, printable(why(item.finding)), kVerdictColumns + 2, options.width);
  }
}

// "fd 4, pid 4712 fd 5 and 3 more" of those with the same reason, and the reason.
std::string reasons(const Diagnosed& process) {
  constexpr std::size_t kMostNamed = 3;
  struct Subjects {
    std::vector<std::string> names;
    std::size_t count = 0;
  };
  std::vector<std::string> order;
  std::map<std::string, Subjects> by_reason;
  for (const auto* list : {&process.items, &process.below})
    for (const Item& item : *list) {
      if (item.finding.verdict == Verdict::Ok) continue;
      auto [it, fresh] = by_reason.try_emplace(why(item.finding));
      if (fresh) order.push_back(it->first);
      std::string name = item.pid == process.pid ? "" : fmt::format("pid {}", item.pid);
      if (item.subject != "process") name += (name.empty() ? "" : " ") + item.subject;
      if (!name.empty() && it->second.count++ < kMostNamed) it->second.names.push_back(std::move(name));
    }
  std::string text;
  for (const std::string& reason : order) {
    const Subjects& subjects = by_reason[reason];
    text += text.empty() ? "" : "; ";
    text += fmt::format("{}", fmt::join(subjects.names, ", "));
    if (subjects.count > subjects.names.size())
      text += fmt::format(" and {} more", subjects.count - subjects.names.size());
    if (!subjects.names.empty()) text += ": ";
    text += printable(reason);
  }
  return text;
}

std::string counted(std::size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

void print_verdict(const std::vector<Diagnosed>& processes, std::ostream& out) {
  std::set<std::string> options;
  std::size_t unsupported = 0, needed = 0;
  for (const Diagnosed& process : processes)
    for (const Item& item : process.items) {
      if (item.finding.verdict == Verdict::Unsupported) unsupported++;
      if (item.finding.verdict != Verdict::NeedsOption) continue;
      needed++;
      options.insert(item.finding.hint);
    }
  if (unsupported == 0 && needed == 0) {
    out << "Can be dumped.\n";
    return;
  }
  std::string list;
  for (const std::string& option : options) list += " " + option;
  if (unsupported == 0)
    out << "Can be dumped with" << list << ".\n";
  else
    out << "Cannot be dumped: " << counted(unsupported, "thing") << " unsupported"
        << (list.empty() ? "" : ", and needed:" + list) << ".\n";
}

std::string json_fields(const Item& item) {
  const kinds::Finding& finding = item.finding;
  std::string text =
      fmt::format(R"("subject":{},"name":{},"kind":{},"verdict":{},"code":{},"reason":{},"hint":{})",
                  json_quote(item.subject), json_quote(item.name), json_quote(item.kind),
                  json_quote(json_word(finding.verdict)), json_quote(finding.code),
                  json_quote(finding.reason), json_quote(finding.hint));
  const char* before_holder = R"(,"holders":[)";
  for (const diagnose::Holder& holder : item.holders) {
    text +=
        fmt::format(R"({}{{"pid":{},"command":{}}})", before_holder, holder.pid, json_quote(holder.command));
    before_holder = ",";
  }
  return text + (item.holders.empty() ? "" : "]");
}

std::vector<std::vector<Item>*> lists_of(std::vector<Diagnosed>& processes) {
  std::vector<std::vector<Item>*> lists;
  for (Diagnosed& process : processes) lists.push_back(&process.items);
  return lists;
}

void add(std::vector<Diagnosed>& processes, std::vector<Item> items) {
  for (Item& item : items) {
    auto it = std::ranges::find(processes, item.pid, &Diagnosed::pid);
    if (it == processes.end()) it = processes.begin();
    it->items.push_back(std::move(item));
  }
}

Result<std::vector<Diagnosed>> one_tree(Collector& collector, const DiagnoseOptions& options,
                                        const std::vector<SpecialMapping>& special, diagnose::Names& names) {
  auto look = [&] { return diagnose::look(collector, static_cast<pid_t>(options.pid)); };
  TRY_ASSIGN(const Model model, look());
  std::vector<Diagnosed> processes = diagnose_model(model, options.policy, names);
  TRY(diagnose::keep_lasting(lists_of(processes), [&](const auto&) -> Result<std::vector<Item>> {
    TRY_ASSIGN(const Model again, look());
    diagnose::Names names_again;
    return find_all(again, options.policy, names_again, true);
  }));
  TRY_ASSIGN(std::vector<Item> more, find_more(collector, model, special, look));
  add(processes, std::move(more));
  std::set<std::uint32_t> tree;
  for (const Diagnosed& process : processes) tree.insert(process.pid);
  auto is_inside = [&](const Item&, std::uint32_t pid) { return tree.contains(pid); };
  name_all_holders(collector, nullptr, is_inside, false, processes);
  return processes;
}

}  // namespace

Verdict Diagnosed::verdict() const {
  Verdict worst = Verdict::Ok;
  for (const auto* list : {&items, &below})
    for (const Item& item : *list) worst = std::max(worst, item.finding.verdict);
  return worst;
}

std::vector<Item> find_all(const Model& model, const DumpPolicy& policy, diagnose::Names& names,
                           bool refused_only) {
  std::vector<Item> items = diagnose::find(model, policy, {.unsupported_only = refused_only});
  std::ranges::move(diagnose::find_covered(model, names), std::back_inserter(items));
  for (Item& item : items) names.unseen.set_aside(item);
  return items;
}

std::vector<Diagnosed> diagnose_model(const Model& model, const DumpPolicy& policy) {
  diagnose::Names names;
  return diagnose_model(model, policy, names);
}

std::vector<Diagnosed> diagnose_model(const Model& model, const DumpPolicy& policy, diagnose::Names& names) {
  std::vector<Diagnosed> processes;
  std::map<std::uint32_t, std::size_t> places;
  for (const pb::Process& process : model.tasks.processes()) {
    places.emplace(process.pid(), processes.size());
    processes.push_back({process.pid(),
                         process.parent_pid(),
                         process.threads_size() == 0 ? "" : process.threads(0).comm(),
                         word(process.state()),
                         {}});
  }
  for (Item& item : find_all(model, policy, names, false))
    processes[places.at(item.pid)].items.push_back(std::move(item));
  return processes;
}

Result<std::vector<Item>> find_more(Collector& collector, const Model& model,
                                    const std::vector<SpecialMapping>& special,
                                    const std::function<Result<Model>()>& look) {
  std::vector<Item> items = find_lasting_shape(model, special, look);
  TRY_ASSIGN(std::vector<Item> vforks, diagnose::find_vforks(collector, model));
  std::ranges::move(vforks, std::back_inserter(items));
  return items;
}

void name_all_holders(Collector& collector, const diagnose::Moment* moment,
                      const diagnose::IsInside& is_inside, bool refused_only,
                      std::vector<Diagnosed>& processes) {
  std::vector<Item*> items;
  for (Diagnosed& process : processes)
    for (Item& item : process.items)
      if (!refused_only || item.finding.verdict != Verdict::Ok) items.push_back(&item);
  diagnose::name_holders(collector, moment, is_inside, items);
}

bool is_dumpable(const std::vector<Diagnosed>& processes) {
  return std::ranges::all_of(processes, [](const Diagnosed& it) { return it.verdict() == Verdict::Ok; });
}

void print_tree(const std::vector<Diagnosed>& processes, const DiagnoseOptions& options, std::ostream& out) {
  for (const Diagnosed& process : processes) print_process(process, options, out);
  print_verdict(processes, out);
}

void print_summary(const std::vector<Diagnosed>& processes, const DiagnoseOptions& options,
                   std::ostream& out) {
  std::size_t good = 0;
  bool headed = false;
  for (const Diagnosed& process : processes) {
    if (process.verdict() == Verdict::Ok) good++;
    if (options.unsupported_only && process.verdict() == Verdict::Ok) continue;
    if (!std::exchange(headed, true))
      out << fmt::format("{:>7}  {:12}  {:15}  {}\n", "PID", "VERDICT", "COMMAND", "WHY");
    std::string rest = fmt::format("{:15}  {}", printable(process.command), reasons(process));
    rest.erase(rest.find_last_not_of(' ') + 1);
    constexpr unsigned kBefore = 7 + 2 + 12 + 2;
    unsigned room = options.width == 0 ? 0 : std::max(options.width, kNarrowest) - kBefore;
    out << fmt::format("{:7}  {}  {}\n", process.pid, painted(process.verdict(), options), cut(rest, room));
  }
  out << fmt::format("{} of {} processes can be dumped.\n", good, processes.size());
}

void print_json(const std::vector<Diagnosed>& processes, const DiagnoseOptions& options, std::ostream& out,
                const diagnose::Unseen& unseen) {
  out << fmt::format(R"({{"root":{},"dumpable":{},"processes":[)",
                     options.all ? "null" : std::to_string(options.pid), is_dumpable(processes));
  const char* between = "";
  for (const Diagnosed& process : processes) {
    out << fmt::format(R"({}{{"pid":{},"parent":{},"command":{},"state":{},"verdict":{},"items":[)", between,
                       process.pid, process.parent_pid, json_quote(process.command),
                       json_quote(process.state), json_quote(json_word(process.verdict())));
    const char* before_item = "";
    for (const Item& item : process.items) {
      if (options.unsupported_only && item.finding.verdict == Verdict::Ok) continue;
      out << before_item << '{' << json_fields(item) << '}';
      before_item = ",";
    }
    out << ']';
    before_item = R"(,"below":[)";
    for (const Item& item : process.below) {
      out << before_item << fmt::format(R"({{"pid":{},)", item.pid) << json_fields(item) << '}';
      before_item = ",";
    }
    out << (process.below.empty() ? "}" : "]}");
    between = ",";
  }
  out << ']';
  const char* before = R"(,"unseen":[)";
  for (const auto& [code, of] : unseen.by_code()) {
    out << fmt::format(R"({}{{"code":{},"things":{},"lacking":[)", before, json_quote(code),
                       of.things.size());
    const char* between_names = "";
    for (std::string_view name : of.lacking) out << std::exchange(between_names, ",") << json_quote(name);
    out << "]}";
    before = ",";
  }
  out << (unseen.by_code().empty() ? "}\n" : "]}\n");
}

Result<int> run_diagnose(const DiagnoseOptions& options, std::ostream& out) {
  put_heap_in_huge_pages();
  TRY_ASSIGN(Collector collector, Collector::open());
  TRY_ASSIGN(const std::vector<SpecialMapping> special, collector.own_special_mappings());
  std::vector<Diagnosed> processes;
  diagnose::Names names;
  TRY_ASSIGN(processes, (options.all ? diagnose_all : one_tree)(collector, options, special, names));
  if (options.common.json) {
    print_json(processes, options, out, names.unseen);
  } else {
    (options.all ? print_summary : print_tree)(processes, options, out);
    print_wrapped(out, to_line(names.unseen), 0, options.width);
  }
  return is_dumpable(processes) ? 0 : 1;
}

}  // namespace bpfckpt
