// SPDX-License-Identifier: Apache-2.0
// Errors as JSON, and their exit codes.
#include <doctest/doctest.h>

#include <set>

#include "cmd/report.h"

using namespace bpfckpt;

TEST_CASE("JSON strings") {
  CHECK(json_quote("a\"b\\c") == R"("a\"b\\c")");
  CHECK(json_quote("\n\t\x01") == R"("\u000a\u0009\u0001")");
  CHECK(json_quote("é€😀") == "\"é€😀\"");
  // Not UTF-8: a lone continuation, a cut sequence, an overlong '/', a surrogate, above U+10FFFF.
  CHECK(json_quote("\x80") == R"("\ufffd")");
  CHECK(json_quote("\xe2\x82") == R"("\ufffd\ufffd")");
  CHECK(json_quote("\xc0\xaf") == R"("\ufffd\ufffd")");
  CHECK(json_quote("\xed\xa0\x80") == R"("\ufffd\ufffd\ufffd")");
  CHECK(json_quote("\xf5z") == R"("\ufffdz")");
}

TEST_CASE("an error as one JSON object") {
  auto error = Error::system("pidfd_getfd", 1).in("fd 7 (eventfd)").in("pid 4711").in("dump");
  CHECK(error_as_json(error) ==
        R"j({"error":{"code":"system","errno":1,"text":"pidfd_getfd",)j"
        R"j("context":["dump","pid 4711","fd 7 (eventfd)"],)j"
        R"j("message":"dump: pid 4711: fd 7 (eventfd): pidfd_getfd: Operation not permitted"}})j");
}

TEST_CASE("each code has an exit code of its own, none of them success") {
  std::set<int> seen;
  using enum Error::Code;
  for (auto code : {System, Unsupported, TargetGone, BadImage, MissingFeature, Conflict, Usage, Bug})
    seen.insert(exit_code(code));
  CHECK(seen.size() == 8);
  CHECK_FALSE(seen.contains(0));
  CHECK(exit_code(Usage) == 2);
}
