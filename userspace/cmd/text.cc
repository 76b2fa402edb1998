// SPDX-License-Identifier: Apache-2.0
#include "cmd/text.h"

#include <fmt/format.h>
#include <sys/ioctl.h>

#include <algorithm>
#include <array>

namespace bpfckpt {
namespace {

// Code points; what we print has no combining and no wide ones.
std::size_t columns_of(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

}  // namespace

std::string human_size(std::uint64_t bytes) {
  constexpr std::array kUnits = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return fmt::format("{} B", bytes);
  auto value = static_cast<double>(bytes) / 1024;
  std::size_t unit = 0;
  // Not 1024: what would be rounded up to "1024" is written in the next unit.
  for (; value >= 1023.5 && unit + 1 < kUnits.size(); ++unit) value /= 1024;
  bool whole = value >= 10 || bytes % (1ULL << (10 * (unit + 1))) == 0;
  return whole ? fmt::format("{:.0f} {}", value, kUnits[unit])
               : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string cut(std::string_view line, unsigned width) {
  if (width == 0 || columns_of(line) <= width) return std::string(line);
  std::size_t end = 0;
  for (unsigned column = 0; end < line.size(); ++end)
    if ((line[end] & 0xc0) != 0x80 && ++column == width) break;
  return std::string(line.substr(0, end)) + "…";
}

void Columns::print(std::ostream& out, std::string_view indent, unsigned width) const {
  std::vector<std::size_t> widths;
  for (const auto& row : rows_) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  for (const auto& row : rows_) {
    std::string line(indent);
    for (std::size_t i = 0; i < row.size(); ++i) {
      std::string padding(widths[i] - columns_of(row[i]), ' ');
      bool right = std::ranges::find(right_, i) != right_.end();
      line += right ? padding + row[i] : row[i] + padding;
      line += "  ";
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << cut(line, width) << '\n';
  }
}

unsigned terminal_width(int fd) {
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace bpfckpt
