// SPDX-License-Identifier: Apache-2.0
// What an image may say of a signalfd, and what it may not.
#include <doctest/doctest.h>

#include "harness/kind_plan.h"
#include "images/kinds/eventfd.pb.h"
#include "images/kinds/signalfd.pb.h"

using namespace bpfckpt;
using kind_plan::file_with;
using kind_plan::text_of;

TEST_CASE("any mask is one, anything else is refused") {
  pb::Signalfd signalfd;
  signalfd.set_mask(UINT64_MAX);
  CHECK(text_of(file_with("signalfd", signalfd)).find("signalfd4") != std::string::npos);
  CHECK(text_of(file_with("signalfd", pb::Eventfd())).starts_with("bad image: signalfd: "));
}
