// SPDX-License-Identifier: Apache-2.0
// What an image may say of an eventfd, and what it may not.
#include <doctest/doctest.h>
#include <fcntl.h>

#include "harness/kind_plan.h"
#include "images/kinds/eventfd.pb.h"
#include "images/kinds/pipe.pb.h"

using namespace bpfckpt;
using kind_plan::file_with;
using kind_plan::text_of;

TEST_CASE("an eventfd is made with its counter and flags") {
  pb::Eventfd eventfd;
  std::string text = text_of(file_with("eventfd", eventfd, O_RDWR | O_NONBLOCK));
  CHECK(text.find("eventfd2") != std::string::npos);
  CHECK(text.find("write") == std::string::npos);
  CHECK(text.find("fcntl") == std::string::npos);
  eventfd.set_count(UINT64_MAX - 1);
  text = text_of(file_with("eventfd", eventfd, O_RDWR));
  CHECK(text.find("write") != std::string::npos);
  CHECK(text.find("fcntl") != std::string::npos);
}

TEST_CASE("a damaged eventfd is refused") {
  pb::Eventfd eventfd;
  eventfd.set_count(UINT64_MAX);
  CHECK(text_of(file_with("eventfd", eventfd)).starts_with("bad image: eventfd: its counter"));
  CHECK(text_of(file_with("eventfd", pb::Pipe())).starts_with("bad image: eventfd: its details"));
  pb::File bare;
  bare.set_kind("eventfd");
  CHECK(text_of(bare).starts_with("bad image: "));
}
