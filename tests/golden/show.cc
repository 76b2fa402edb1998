// SPDX-License-Identifier: Apache-2.0
// What `show` says of the synthetic checkpoint, letter by letter. With BPFCKPT_GOLDEN_UPDATE set the expected
// files are written instead: read the difference before you commit it.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <regex>
#include <sstream>

#include "cmd/show.h"
#include "cmd/verify.h"
#include "harness/synthetic_model.h"

using namespace bpfckpt;
using namespace bpfckpt::synthetic;

namespace {

// What depends on when, where and by what the checkpoint was made.
std::string without_host(const std::string& text) {
  static const std::pair<std::regex, const char*> kReplacements[] = {
      {std::regex("taken .* UTC on Linux .* by bpfckpt [0-9.]+"),
       "taken TIME UTC on Linux HOST by bpfckpt VERSION"},
      {std::regex("taken [0-9]{4}-[-0-9]+ [0-9:]+ UTC on Linux [^<\"]+"), "taken TIME UTC on Linux HOST"},
      {std::regex("\"(program_version|kernel_release|created_unix_ns|boot_id)\": \".*\""),
       "\"$1\": \"...\""}};
  std::string out = text;
  for (const auto& [pattern, replacement] : kReplacements)
    out = std::regex_replace(out, pattern, replacement);
  return out;
}

void check_golden(const std::string& name, const std::string& actual) {
  std::string path = std::string(BPFCKPT_TESTS_DIR) + "/golden/" + name;
  if (std::getenv("BPFCKPT_GOLDEN_UPDATE") != nullptr) {
    std::ofstream(path) << actual;
    return;
  }
  std::ifstream file(path);
  std::stringstream expected;
  expected << file.rdbuf();
  REQUIRE_MESSAGE(file.good(), path);
  CHECK(actual == expected.str());
}

std::string shown(ShowOptions options, const TemporaryDirectory& directory) {
  options.common.images_dir = directory.path();
  std::ostringstream out;
  auto status = run_show(options, out);
  REQUIRE_MESSAGE(status.has_value(), status.error().message());
  CHECK(*status == 0);
  return without_host(out.str());
}

}  // namespace

TEST_CASE("show") {
  TemporaryDirectory directory;
  write_checkpoint(directory.path());
  SUBCASE("the tree") {
    check_golden("show.txt", shown({}, directory));
  }
  SUBCASE("one process") {
    check_golden("show_process.txt", shown({.pid = 100}, directory));
  }
  SUBCASE("one that shares memory") {
    check_golden("show_sharing.txt", shown({.pid = 104}, directory));
  }
  SUBCASE("a narrow terminal") {
    std::istringstream text(shown({.width = 40}, directory));
    for (std::string line; std::getline(text, line);) {
      CAPTURE(line);
      auto columns = std::ranges::count_if(line, [](char c) { return (c & 0xc0) != 0x80; });
      CHECK(columns <= 40);
    }
  }
  SUBCASE("JSON") {
    check_golden("show.json", shown({.common = {.json = true}}, directory));
  }
  SUBCASE("JSON of one process") {
    check_golden("show_process.json", shown({.common = {.json = true}, .pid = 101}, directory));
  }
  SUBCASE("a graph") {
    check_golden("show.dot", shown({.as = ShowOptions::As::Dot}, directory));
  }
  SUBCASE("a page") {
    check_golden("show.html", shown({.as = ShowOptions::As::Html}, directory));
  }
  SUBCASE("no such process") {
    std::ostringstream out;
    ShowOptions options{.pid = 105};
    options.common.images_dir = directory.path();
    auto status = run_show(options, out);
    REQUIRE(!status.has_value());
    CHECK(status.error().code() == Error::Code::Usage);
    CHECK(out.str().empty());
  }
}

TEST_CASE("verify") {
  TemporaryDirectory directory;
  write_checkpoint(directory.path());
  VerifyOptions options;
  options.common.images_dir = directory.path();
  std::ostringstream out;
  auto status = run_verify(options, out);
  REQUIRE_MESSAGE(status.has_value(), status.error().message());
  CHECK(out.str().starts_with(directory.path() + ": complete and undamaged: 4 processes, 6 files, "));

  std::filesystem::resize_file(directory.file("contents.img"), 4096);
  auto shorter = run_verify(options, out);
  REQUIRE(!shorter.has_value());
  CHECK(shorter.error().message().find("contents.img has 4096 bytes instead of 12288") != std::string::npos);
}
