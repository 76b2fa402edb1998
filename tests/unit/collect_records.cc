// SPDX-License-Identifier: Apache-2.0
// Records are used again, from look to look.
#include "collect/records.h"

#include <doctest/doctest.h>

using namespace bpfckpt;

TEST_CASE("records that are cleared know nothing of the look before") {
  collect::Records records;
  records.add_label(0x1000, {.text = "confined"});
  records.add_clock(CLOCK_MONOTONIC);
  REQUIRE(records.label(0x1000) != nullptr);
  REQUIRE(records.clock_ns(CLOCK_MONOTONIC).has_value());
  records.clear();
  CHECK(records.label(0x1000) == nullptr);
  CHECK_FALSE(records.clock_ns(CLOCK_MONOTONIC).has_value());
  records.add_label(0x1000, {.text = "unconfined"});
  CHECK(records.label(0x1000)->text == "unconfined");
}
