// SPDX-License-Identifier: Apache-2.0
// The tree is drawn by rows, a process each. What processes share is a line down the right side with a dot at
// every row that has it, as in a drawing of branches and merges; the table below has all of it in words.
#include "cmd/show_html.h"

#include "cmd/report.h"

#include <algorithm>
#include <array>
#include <map>

#include "cmd/text.h"

namespace bpfckpt {
namespace {

constexpr std::size_t kRow = 26;          // pixels of height
constexpr std::size_t kIndent = 18;       // of a generation
constexpr std::size_t kDeepest = 24;      // generations that are indented further
constexpr std::size_t kTextColumn = 330;  // where the names may end
constexpr std::size_t kBarColumn = 280;   // of memory: a bar, and its size in words
constexpr std::size_t kLongestBar = 130;
constexpr std::size_t kLane = 16;
constexpr std::size_t kMostLanes = 64;  // more than that nobody can tell from one another

constexpr const char* kStyle = R"(
:root{color-scheme:light dark;--ink:#1d2733;--soft:#66758a;--line:#c9d1dc;--paper:#fff;--box:#f3f5f8}
@media(prefers-color-scheme:dark){:root{--ink:#e3e8ef;--soft:#93a1b5;--line:#3a4656;--paper:#12171e;--box:#1b222c}}
body{font:14px/1.45 system-ui,sans-serif;color:var(--ink);background:var(--paper);margin:2em auto;max-width:1200px;padding:0 1em}
h1{font-size:1.25em}h2{font-size:1.05em;margin-top:2em}
p,td,th,text{color:var(--ink);fill:var(--ink)}.soft{color:var(--soft);fill:var(--soft)}
.drawing{overflow-x:auto;background:var(--box);border-radius:6px;padding:8px}
svg{display:block}svg text{font-size:13px}svg .soft{font-size:11px}
table{border-collapse:collapse}td,th{text-align:left;padding:3px 14px 3px 0;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right}td.name{overflow-wrap:anywhere}
.edge{stroke:var(--line);fill:none;stroke-width:1.5}
.k{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin-right:.4em}
.c0{fill:#4477aa;stroke:#4477aa;background:#4477aa}.c1{fill:#ee6677;stroke:#ee6677;background:#ee6677}
.c2{fill:#228833;stroke:#228833;background:#228833}.c3{fill:#ccbb44;stroke:#ccbb44;background:#ccbb44}
.c4{fill:#66ccee;stroke:#66ccee;background:#66ccee}.c5{fill:#aa3377;stroke:#aa3377;background:#aa3377}
.c6{fill:#bb6633;stroke:#bb6633;background:#bb6633}.c7{fill:#8888cc;stroke:#8888cc;background:#8888cc}
)";
constexpr std::size_t kColours = 8;

// Colours of the kinds of memory, by their order of first appearance.
class Palette {
 public:
  std::size_t of(const std::string& name) {
    auto [it, fresh] = colours_.try_emplace(name, order_.size());
    if (fresh) order_.push_back(name);
    return it->second % kColours;
  }
  const std::vector<std::string>& names() const { return order_; }

 private:
  std::map<std::string, std::size_t> colours_;
  std::vector<std::string> order_;
};

class Page {
 public:
  Page(const Picture& picture, std::ostream& out) : picture_(picture), out_(out) {}

  void print() {
    out_ << "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
         << "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
            "'unsafe-inline'\">"
         << "<meta name=\"viewport\" content=\"width=device-width\"><title>" << html_escape(picture_.title)
         << "</title><style>" << kStyle << "</style></head><body>\n<h1>" << html_escape(picture_.title)
         << "</h1>\n";
    print_summary();
    print_tree();
    print_shared();
    print_memory();
    print_stages();
    out_ << "</body></html>\n";
  }

 private:
  void print_summary() {
    std::size_t threads = 0;
    for (const Picture::Process& process : picture_.processes) threads += process.threads;
    out_ << fmt::format("<p>{} processes, {} threads, {} of images", picture_.processes.size(), threads,
                        human_size(picture_.image_bytes));
    if (picture_.frozen_us != 0) out_ << fmt::format("; frozen for {}", ms(picture_.frozen_us));
    out_ << "</p>\n";
  }

  static std::string ms(std::uint64_t us) { return fmt::format("{:.2f} ms", static_cast<double>(us) / 1000); }
  static std::size_t x_of(const Picture::Process& process) {
    return 8 + std::min(process.depth, kDeepest) * kIndent;
  }
  static std::size_t y_of(std::size_t row) { return row * kRow + kRow / 2; }

  void print_tree() {
    const std::size_t lanes = std::min(picture_.shared.size(), kMostLanes);
    const std::size_t widest_indent = std::min<std::size_t>(
        kDeepest, std::ranges::max(picture_.processes, {}, &Picture::Process::depth).depth);
    text_end_ = kTextColumn + widest_indent * kIndent;
    out_ << "<h2>Processes, and what they share</h2>\n<div class=\"drawing\">"
         << fmt::format("<svg id=\"tree\" width=\"{}\" height=\"{}\" role=\"img\">",
                        text_end_ + kBarColumn + 24 + lanes * kLane, picture_.processes.size() * kRow);
    print_edges();
    std::uint64_t most = 1;
    for (const Picture::Process& process : picture_.processes)
      most = std::max(most, process.taken_bytes + process.shared_taken_bytes);
    for (std::size_t row = 0; row < picture_.processes.size(); row++) print_process(row, most);
    for (std::size_t lane = 0; lane < lanes; lane++) print_lane(lane);
    out_ << "</svg></div>\n";
    print_legend();
    if (lanes < picture_.shared.size())
      out_ << fmt::format("<p class=\"soft\">Drawn are the first {} of {} things that are shared.</p>\n",
                          lanes, picture_.shared.size());
  }

  void print_edges() {
    std::map<std::uint32_t, std::size_t> rows;
    for (std::size_t row = 0; row < picture_.processes.size(); row++) {
      const Picture::Process& process = picture_.processes[row];
      rows[process.pid] = row;
      auto parent = rows.find(process.parent_pid);
      if (parent == rows.end() || process.parent_pid == 0) continue;
      const std::size_t from = x_of(picture_.processes[parent->second]) + 5, to = x_of(process);
      out_ << fmt::format("<path class=\"edge\" d=\"M{} {}V{}H{}\"/>", from, y_of(parent->second) + 5,
                          y_of(row), std::max(to, from + 1));
    }
  }

  void print_process(std::size_t row, std::uint64_t most) {
    const Picture::Process& process = picture_.processes[row];
    const std::size_t x = x_of(process), y = y_of(row);
    const bool zombie = process.state == "zombie";
    out_ << fmt::format("<g data-pid=\"{}\"><circle class=\"c0\" cx=\"{}\" cy=\"{}\" r=\"5\"{}/>",
                        process.pid, x + 5, y, zombie ? " fill-opacity=\"0\"" : "");
    out_ << fmt::format("<text x=\"{}\" y=\"{}\">{} {}", x + 16, y + 5, process.pid,
                        html_escape(process.name));
    out_ << "<tspan class=\"soft\" dx=\"8\">";
    if (!process.state.empty()) out_ << html_escape(process.state) << (zombie ? "" : ", ");
    if (!zombie) out_ << fmt::format("{} thr, {} fds", process.threads, process.descriptors);
    out_ << "</tspan></text>";
    std::size_t at = text_end_;
    for (const Picture::Memory& memory : process.memory) {
      const std::size_t colour = palette_.of(memory.kind);
      const auto width = static_cast<std::size_t>(static_cast<double>(memory.taken_bytes) /
                                                  static_cast<double>(most) * kLongestBar);
      if (memory.taken_bytes == 0) continue;
      out_ << fmt::format(
          "<rect class=\"c{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"10\"><title>{}: {} of "
          "{}</title></rect>",
          colour, at, y - 5, std::max<std::size_t>(width, 1), html_escape(memory.kind),
          human_size(memory.taken_bytes), human_size(memory.size_bytes));
      at += std::max<std::size_t>(width, 1);
    }
    if (!zombie)
      out_ << fmt::format("<text class=\"soft\" x=\"{}\" y=\"{}\">{}</text>", at + 6, y + 4,
                          taken_in_words(process));
    out_ << "</g>\n";
  }

  void print_lane(std::size_t lane) {
    const Picture::Shared& shared = picture_.shared[lane];
    const std::size_t x = text_end_ + kBarColumn + 16 + lane * kLane;
    std::string title = shared.kind;
    if (!shared.name.empty()) title += " " + shared.name;
    if (!shared.size.empty()) title += " (" + shared.size + ")";
    out_ << fmt::format("<g><title>{}</title><path class=\"edge c{}\" d=\"M{} {}V{}\"/>", html_escape(title),
                        lane % kColours, x, y_of(shared.holders.front().process),
                        y_of(shared.holders.back().process));
    for (const Picture::Holder& holder : shared.holders)
      out_ << fmt::format("<circle class=\"c{}\" cx=\"{}\" cy=\"{}\" r=\"4\"/>", lane % kColours, x,
                          y_of(holder.process));
    out_ << "</g>";
  }

  void print_legend() {
    out_ << "<p class=\"soft\">Memory in the image:";
    for (const std::string& name : palette_.names())
      out_ << fmt::format(" <span class=\"k c{}\"></span>{}", palette_.of(name), html_escape(name));
    out_ << "</p>\n";
  }

  void print_shared() {
    if (picture_.shared.empty()) return;
    out_ << "<table id=\"shared\"><tr><th></th><th>shared</th><th>name</th><th>size</th><th>by</th></tr>\n";
    for (std::size_t i = 0; i < picture_.shared.size(); i++) {
      const Picture::Shared& shared = picture_.shared[i];
      out_ << "<tr><td>";
      if (i < kMostLanes) out_ << fmt::format("<span class=\"k c{}\"></span>", i % kColours);
      out_ << "</td><td>" << html_escape(shared.kind) << "</td><td class=\"name\">"
           << html_escape(shared.name) << "</td><td>" << html_escape(shared.size) << "</td><td>";
      print_holders(shared.holders);
      out_ << "</td></tr>\n";
    }
    out_ << "</table>\n";
  }

  // Neighbours that have it in the same way are told together.
  void print_holders(const std::vector<Picture::Holder>& holders) {
    for (std::size_t i = 0; i < holders.size(); i++) {
      const Picture::Process& process = picture_.processes[holders[i].process];
      const bool last = i + 1 == holders.size();
      const bool alike = !last && holders[i + 1].how == holders[i].how;
      out_ << fmt::format("{} {}", process.pid, html_escape(process.name));
      if (!alike && !holders[i].how.empty())
        out_ << " <span class=\"soft\">(" << html_escape(holders[i].how) << ")</span>";
      if (!last) out_ << (alike ? ", " : "; ");
    }
  }

  void print_memory() {
    out_ << "<h2>Memory by kind</h2>\n<table id=\"memory\"><tr><th>process</th><th>kind</th><th "
            "class=\"n\">size"
            "</th><th class=\"n\">taken</th><th class=\"n\">shared with relatives</th></tr>\n";
    for (const Picture::Process& process : picture_.processes)
      for (const Picture::Memory& memory : process.memory)
        out_ << fmt::format(
            "<tr><td>{} {}</td><td><span class=\"k c{}\"></span>{}</td><td class=\"n\">{}</td><td "
            "class=\"n\">{}</td><td class=\"n\">{}</td></tr>\n",
            process.pid, html_escape(process.name), palette_.of(memory.kind), html_escape(memory.kind),
            human_size(memory.size_bytes), human_size(memory.taken_bytes),
            memory.kin_bytes == 0 ? "" : human_size(memory.kin_bytes));
    for (const Picture::Memory& memory : picture_.memory)
      out_ << fmt::format(
          "<tr><th>all, each byte once</th><td><span class=\"k c{}\"></span>{}</td><td></td><td "
          "class=\"n\">{}</td><td></td></tr>\n",
          palette_.of(memory.kind), html_escape(memory.kind), human_size(memory.taken_bytes));
    out_ << "</table>\n<p class=\"soft\">Taken is what the images hold: the pages of private memory, and of "
            "shared memory the content of the objects behind it (a file that has a name stays where it is). "
            "A process counts with all that it maps; the last rows have each page and each object once, and "
            "of an object also what no process maps.</p>\n";
  }

  void print_stages() {
    if (picture_.frozen_us == 0) return;
    out_ << "<h2>Timings</h2>\n<div class=\"drawing\"><svg id=\"stages\" width=\"800\" height=\"18\" "
            "role=\"img\">";
    double at = 0;
    const double scale = 800.0 / static_cast<double>(std::max<std::uint64_t>(picture_.frozen_us, 1));
    for (std::size_t i = 0; i < picture_.stages.size(); i++) {
      const Picture::Stage& stage = picture_.stages[i];
      const double width = std::clamp(static_cast<double>(stage.us) * scale, 0.0, 800.0 - at);
      out_ << fmt::format(
          "<rect class=\"c{}\" x=\"{:.1f}\" y=\"0\" width=\"{:.1f}\" height=\"18\"><title>{} "
          "{}</title></rect>",
          i % kColours, at, width, html_escape(stage.name), ms(stage.us));
      at += width;
    }
    out_ << "</svg></div>\n<table id=\"timings\"><tr><th>stage of the frozen window</th><th "
            "class=\"n\">time</th></tr>\n";
    for (std::size_t i = 0; i < picture_.stages.size(); i++)
      out_ << fmt::format("<tr><td><span class=\"k c{}\"></span>{}</td><td class=\"n\">{}</td></tr>\n",
                          i % kColours, html_escape(picture_.stages[i].name), ms(picture_.stages[i].us));
    out_ << fmt::format(
        "<tr><th>frozen</th><th class=\"n\">{}</th></tr>\n<tr><th>the whole dump</th><th "
        "class=\"n\">{}</th></tr>"
        "</table>\n",
        ms(picture_.frozen_us), ms(picture_.total_us));
  }

  const Picture& picture_;
  std::ostream& out_;
  Palette palette_;
  std::size_t text_end_ = kTextColumn;
};

}  // namespace

std::string html_escape(std::string_view text) {
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t len = utf8_length(text.substr(at));
    if (len == 0) {
      out += "\xef\xbf\xbd";
      at++;
      continue;
    }
    switch (text[at]) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += text.substr(at, len);
    }
    at += len;
  }
  return out;
}

void print_html(const Picture& picture, std::ostream& out) {
  Page(picture, out).print();
}

}  // namespace bpfckpt
