// SPDX-License-Identifier: Apache-2.0
#include "cmd/text.h"

#include <fmt/format.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <wchar.h>

#include <algorithm>
#include <array>

#include "cmd/report.h"

namespace bpfckpt {
namespace {

// wcwidth(3) answers by the locale of the thread, and there is no wcwidth_l(): while one of these lives, the
// thread's is one that knows all of Unicode. The process's own is never changed.
class UnicodeLocale {
 public:
  UnicodeLocale() {
    static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    if (locale != nullptr) before_ = ::uselocale(locale);
  }
  ~UnicodeLocale() {
    if (is_there()) ::uselocale(before_);
  }
  UnicodeLocale(const UnicodeLocale&) = delete;
  UnicodeLocale& operator=(const UnicodeLocale&) = delete;
  bool is_there() const { return before_ != nullptr; }

 private:
  locale_t before_ = nullptr;
};

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return (c & 0x80) == 0; });
}

// Of a well-formed sequence.
wchar_t code_point(std::string_view sequence) {
  if (sequence.size() == 1) return sequence[0];
  auto value = static_cast<unsigned char>(sequence[0]) & (0x7fU >> sequence.size());
  for (char c : sequence.substr(1)) value = value << 6 | (static_cast<unsigned char>(c) & 0x3fU);
  return static_cast<wchar_t>(value);
}

// Walks over characters, and bytes that are none.
class Characters {
 public:
  explicit Characters(std::string_view text) : text_(text) {}

  bool next() {
    text_.remove_prefix(len_bytes_);
    if (text_.empty()) return false;
    len_bytes_ = std::max<std::size_t>(utf8_length(text_), 1);
    return true;
  }
  std::size_t len_bytes() const { return len_bytes_; }
  // On a terminal. What is not known, or no character, is taken for one column, as terminals draw a box.
  std::size_t columns() const {
    if ((text_[0] & 0x80) == 0 || len_bytes_ == 1 || !locale_.is_there()) return 1;
    const int width = ::wcwidth(code_point(text_.substr(0, len_bytes_)));
    return width < 0 ? 1 : static_cast<std::size_t>(width);
  }

 private:
  std::string_view text_;
  std::size_t len_bytes_ = 0;
  UnicodeLocale locale_;
};

}  // namespace

std::size_t columns_of(std::string_view text) {
  if (is_ascii(text)) return text.size();
  std::size_t columns = 0;
  for (Characters it(text); it.next();) columns += it.columns();
  return columns;
}

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
  std::size_t end = 0, column = 0;
  for (Characters it(line); it.next(); end += it.len_bytes())
    if ((column += it.columns()) >= width) break;
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
