// SPDX-License-Identifier: Apache-2.0
#include "cmd/show_dot.h"

#include "cmd/text.h"

namespace bpfckpt {
namespace {

// Inside of double quotes; a line break is the two characters \n, and what looks like an entity of HTML is
// taken for one. https://graphviz.org/doc/info/lang.html
std::string dot_quote(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (c == '\n')
      out += "\\n";
    else if (c == '&')
      out += "&amp;";
    else
      out += c;
  }
  return out + '"';
}

std::string label_of(const Picture::Process& process) {
  std::string label = fmt::format("{} {}", process.pid, process.name);
  if (!process.state.empty()) label += fmt::format("\n{}", process.state);
  if (process.state != "zombie")
    label += fmt::format("\n{} threads, {} fds, {}", process.threads, process.descriptors,
                         taken_in_words(process));
  return label;
}

}  // namespace

void print_dot(const Picture& picture, std::ostream& out) {
  out << "digraph checkpoint {\n  label=" << dot_quote(picture.title)
      << ";\n  labelloc=t;\n  node [shape=box, fontname=\"sans-serif\"];\n";
  for (const Picture::Process& process : picture.processes) {
    out << fmt::format("  p{} [label={}{}];\n", process.pid, dot_quote(label_of(process)),
                       process.state == "zombie" ? ", style=dotted" : "");
    if (process.parent_pid != 0) out << fmt::format("  p{} -> p{};\n", process.parent_pid, process.pid);
  }
  std::size_t number = 0;
  for (const Picture::Shared& shared : picture.shared) {
    std::string label = shared.kind;
    for (const std::string& line : {shared.name, shared.size})
      if (!line.empty()) label += "\n" + line;
    out << fmt::format("  s{} [shape=ellipse, style=filled, fillcolor=\"#eeeeee\", label={}];\n", number,
                       dot_quote(label));
    for (const Picture::Holder& holder : shared.holders)
      out << fmt::format("  p{} -> s{} [dir=none, style=dashed, constraint=false, label={}];\n",
                         picture.processes[holder.process].pid, number, dot_quote(holder.how));
    number++;
  }
  out << "}\n";
}

}  // namespace bpfckpt
