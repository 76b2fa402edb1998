// SPDX-License-Identifier: Apache-2.0
// Text of all scripts in the columns of a terminal.
#include <doctest/doctest.h>

#include <clocale>
#include <cwchar>
#include <sstream>

#include "cmd/text.h"

using namespace bpfckpt;

namespace {

bool has_unicode_locale() {
  locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (locale == nullptr) return false;
  ::freelocale(locale);
  return true;
}

}  // namespace

TEST_CASE("columns of a character") {
  CHECK(columns_of("") == 0);
  CHECK(columns_of("plain") == 5);
  CHECK(columns_of("gr\u00fc\u00df \u2026 \u2502") == 8);
  if (has_unicode_locale()) {
    CHECK(columns_of("\u6f22\u5b57") == 4);
    CHECK(columns_of("\uac00") == 2);
    CHECK(columns_of("\uff21") == 2);
    CHECK(columns_of("\U0001f600") == 2);
    CHECK(columns_of("e\u0301") == 1);
  } else {
    CHECK(columns_of("\u6f22\u5b57") == 2);
  }
  // Bytes that are no characters, control characters, what is not assigned: as terminals draw them, a box
  // each.
  CHECK(columns_of("\xff\x80") == 2);
  CHECK(columns_of("\xe6\xbc") == 2);
  CHECK(columns_of("\x7f\u0080") == 2);
  CHECK(columns_of("\U0010ffff") == 1);
}

TEST_CASE("the process keeps its locale") {
  const std::string before = std::setlocale(LC_ALL, nullptr);
  const locale_t thread = ::uselocale(nullptr);
  const int outside = ::wcwidth(L'\u6f22');
  columns_of("\u6f22");
  CHECK(std::setlocale(LC_ALL, nullptr) == before);
  CHECK(::uselocale(nullptr) == thread);
  CHECK(::wcwidth(L'\u6f22') == outside);
}

TEST_CASE("a line is cut at the terminal's width") {
  CHECK(cut("abcdef", 0) == "abcdef");
  CHECK(cut("abcdef", 6) == "abcdef");
  CHECK(cut("abcdef", 5) == "abcd\u2026");
  CHECK(cut("abcdef", 1) == "\u2026");
  CHECK(cut("\u00e4\u00f6\u00fc", 2) == "\u00e4\u2026");
  CHECK(cut("\xff\xff\xff", 2) == "\xff\u2026");
  if (!has_unicode_locale()) return;
  CHECK(cut("\u6f22\u5b57", 4) == "\u6f22\u5b57");
  CHECK(cut("\u6f22\u5b57", 3) == "\u6f22\u2026");
  CHECK(cut("\u6f22\u5b57", 2) == "\u2026");  // half a character cannot be drawn
  CHECK(cut("\u6f22\u5b57x", 4) == "\u6f22\u2026");
  CHECK(cut("e\u0301e\u0301e\u0301", 2) == "e\u0301\u2026");
  for (unsigned width = 1; width < 16; width++)
    CHECK(columns_of(cut("a\u6f22b\u0301\U0001f600\u00fc\uac00\uff21 \u5b57", width)) <= width);
}

TEST_CASE("columns below one another") {
  if (!has_unicode_locale()) return;
  Columns columns({1});
  columns.add({"\u6f22\u5b57", "1", "x"});
  columns.add({"abc", "\u5b57", "\u6f22\u5b57"});
  std::ostringstream whole, narrow;
  columns.print(whole, "", 0);
  CHECK(whole.str() == "\u6f22\u5b57   1  x\nabc   \u5b57  \u6f22\u5b57\n");
  columns.print(narrow, "", 13);
  CHECK(narrow.str() == "\u6f22\u5b57   1  x\nabc   \u5b57  \u6f22\u2026\n");
}
