// SPDX-License-Identifier: Apache-2.0
// Text for people: sizes, columns, lines that fit the terminal.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace bpfckpt {

// "4711 B", "20 KiB", "1.5 GiB"
std::string human_size(std::uint64_t bytes);

// Columns that UTF-8 takes on a terminal: two of a wide character, none of one that combines with the one
// before it. Without a UTF-8 locale on the machine (C.UTF-8) each character counts as one.
std::size_t columns_of(std::string_view text);

// Cuts a line of UTF-8 to `width` columns, "…" at its end then; 0: no limit.
std::string cut(std::string_view line, unsigned width);

// Rows whose cells stand below one another. The last column is not padded.
class Columns {
 public:
  // `right`: numbers of the columns that are aligned to the right.
  explicit Columns(std::vector<std::size_t> right = {}) : right_(std::move(right)) {}
  void add(std::vector<std::string> row) { rows_.push_back(std::move(row)); }
  void print(std::ostream& out, std::string_view indent, unsigned width) const;

 private:
  std::vector<std::size_t> right_;
  std::vector<std::vector<std::string>> rows_;
};

// Columns of the terminal that descriptor leads to; 0 if it is none.
unsigned terminal_width(int fd);

}  // namespace bpfckpt
