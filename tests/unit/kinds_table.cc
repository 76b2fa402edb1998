// SPDX-License-Identifier: Apache-2.0
// docs/kinds.md says what the rows of the registry say. With BPFCKPT_GOLDEN_UPDATE set its table is written
// instead: read the difference before you commit it.
#include "kinds/table.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>

#include "kinds/kind.h"

using namespace bpfckpt;

TEST_CASE("every kind says what is kept of it and what is not") {
  std::set<std::string_view> names;
  for (const kinds::Kind* kind : kinds::all()) {
    CAPTURE(kind->name);
    CHECK(names.insert(kind->name).second);
    CHECK_FALSE(kind->kept.empty());
    CHECK_FALSE(kind->not_kept.empty());
    for (std::string_view text : {kind->kept, kind->not_kept, kind->refused})
      CHECK(text.find_first_of("|\n") == std::string_view::npos);
  }
}

TEST_CASE("docs/kinds.md has one row a kind") {
  const std::string path = BPFCKPT_TESTS_DIR "/../docs/kinds.md";
  std::ifstream file(path);
  std::stringstream read;
  read << file.rdbuf();
  const std::string text = read.str();
  REQUIRE_MESSAGE(!text.empty(), path);
  // The table goes from its first line to the empty line after it, or to the end.
  const std::size_t begin = text.find("| kind |");
  REQUIRE(begin != std::string::npos);
  std::size_t end = text.find("\n\n", begin);
  end = end == std::string::npos ? text.size() : end + 1;
  const std::string table = kinds::table();
  if (std::getenv("BPFCKPT_GOLDEN_UPDATE") != nullptr) {
    std::ofstream(path) << text.substr(0, begin) << table << text.substr(end);
    return;
  }
  CHECK_MESSAGE(text.substr(begin, end - begin) == table, "it should be:\n", table);
}
