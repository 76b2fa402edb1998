// SPDX-License-Identifier: Apache-2.0
// bpfckpt check: what it prints and what its exit status says.
#include "cmd/check.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <set>
#include <sstream>

#include "kernel/features.h"

using namespace bpfckpt;

TEST_CASE("every feature says what it is for and what is lost, under a name of its own") {
  std::set<std::string_view> names;
  for (const auto& feature : kernel::features()) {
    CAPTURE(feature.name);
    CHECK(names.insert(feature.name).second);
    CHECK(feature.name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos);
    CHECK_FALSE(feature.purpose.empty());
    CHECK_FALSE(feature.how.empty());
    CHECK_FALSE(feature.lost.empty());
    CHECK(kernel::find_feature(feature.name) == &feature);
  }
  CHECK(kernel::find_feature("no-such") == nullptr);
}

TEST_CASE("probes leave no descriptor and no child behind") {
  for (const auto& feature : kernel::features()) {
    CAPTURE(feature.name);
    int before = ::dup(0);
    ::close(before);
    feature.probe();
    int after = ::dup(0);
    ::close(after);
    CHECK(after == before);
  }
}

TEST_CASE("the exit status follows what is there") {
  std::ostringstream out;
  CheckOptions all;
  bool required = true;
  for (const auto& feature : kernel::features())
    required = required && (!feature.required() || feature.probe().there);
  auto status = run_check(all, out);
  REQUIRE(status.has_value());
  CHECK((*status == 0) == required);
  CHECK(out.str().ends_with("Looks good.\n") == required);

  for (const auto& feature : kernel::features()) {
    CheckOptions one;
    one.features = {std::string(feature.name)};
    std::ostringstream text;
    auto asked = run_check(one, text);
    REQUIRE(asked.has_value());
    for (std::string_view part : {feature.name, feature.purpose, feature.how, feature.lost, feature.fallback})
      CHECK(text.str().find(part) != std::string::npos);
    CHECK((*asked == 0) == feature.probe().there);
  }

  CheckOptions unknown;
  unknown.features = {"no-such"};
  auto refused = run_check(unknown, out);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code() == Error::Code::Usage);
}
