// SPDX-License-Identifier: Apache-2.0
// What the drawings of a checkpoint make of names that somebody chose.
#include <doctest/doctest.h>

#include <sstream>

#include "cmd/show_dot.h"
#include "cmd/show_html.h"

using namespace bpfckpt;

namespace {

Picture hostile_picture() {
  const std::string name = "</svg><script>alert(1)</script>\"\\ \n&";
  Picture picture;
  picture.title = name;
  picture.frozen_us = 0;  // a checkpoint whose dump kept no timings
  picture.processes.push_back(
      {.pid = 1, .name = name, .memory = {{.kind = "anonymous", .size_bytes = 4096}}});
  picture.processes.push_back({.pid = 2, .parent_pid = 1, .depth = 1, .name = name, .state = "zombie"});
  picture.shared.push_back({"pipe", name, {{0, name}, {1, "fd 1"}}, name});
  return picture;
}

}  // namespace

TEST_CASE("text in a page") {
  CHECK(html_escape("a<b>&\"'") == "a&lt;b&gt;&amp;&quot;&#39;");
  CHECK(html_escape("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80") ==
        "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
  // Alone, cut off, too long, a surrogate, beyond the last character.
  for (const char* wrong :
       {"\x80", "\xc3", "\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xff"})
    CHECK(html_escape(wrong).starts_with("\xef\xbf\xbd"));
  CHECK(html_escape("\xe2\x82<") == "\xef\xbf\xbd\xef\xbf\xbd&lt;");
}

TEST_CASE("a page of hostile names") {
  std::ostringstream out;
  print_html(hostile_picture(), out);
  CHECK(out.str().find("<script") == std::string::npos);
  CHECK(out.str().find("&lt;script&gt;") != std::string::npos);
  CHECK(out.str().find("id=\"stages\"") == std::string::npos);  // no timings, no drawing of them
}

TEST_CASE("a graph of hostile names") {
  std::ostringstream out;
  print_dot(hostile_picture(), out);
  // Outside of quotes there are only our own words.
  bool quoted = false, escaped = false;
  std::string bare;
  for (char c : out.str()) {
    if (!quoted && c != '"') bare += c;
    if (c == '"' && !escaped) quoted = !quoted;
    escaped = quoted && c == '\\' && !escaped;
  }
  CHECK_FALSE(quoted);
  CHECK(bare.find("script") == std::string::npos);
  CHECK(bare.find("p1 -> p2;") != std::string::npos);
}

TEST_CASE("entities in the labels of a graph") {
  Picture picture;
  picture.processes.push_back({.pid = 1, .name = "a&amp;b & &#65;"});
  std::ostringstream out;
  print_dot(picture, out);
  CHECK(out.str().find("1 a&amp;amp;b &amp; &amp;#65;") != std::string::npos);
}

TEST_CASE("more than can be drawn is told") {
  Picture picture = hostile_picture();
  for (int i = 0; i < 500; i++) picture.shared.push_back({"pipe", "p", {{0, "fd 1"}, {1, "fd 1"}}, ""});
  // A chain of processes is not indented for ever.
  for (std::uint32_t pid = 3; pid < 2000; pid++)
    picture.processes.push_back({.pid = pid, .parent_pid = pid - 1, .depth = pid - 1, .name = "chain"});
  std::ostringstream out;
  print_html(picture, out);
  CHECK(out.str().find("the first 64 of 501") != std::string::npos);
  CHECK(out.str().size() < 2'000'000);
}
