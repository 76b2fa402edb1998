// SPDX-License-Identifier: Apache-2.0
// What an image says of a System V segment is not believed.
#include <doctest/doctest.h>

#include <functional>

#include "kinds/sysv_shm.h"

using namespace bpfckpt;

namespace {

struct Row {
  const char* message;
  std::function<void(pb::SysvSegment&)> change;
};

const Row kRows[] = {
    {"impossible id", [](auto& s) { s.set_id(1u << 31); }},
    {"impossible size", [](auto& s) { s.set_size(0); }},
    {"impossible size", [](auto& s) { s.set_size(5001); }},
    {"impossible size", [](auto& s) { s.set_size(std::uint64_t{1} << 50); }},
    {"impossible size", [](auto& s) { s.set_huge_page_shift(21); }},
    {"impossible mode", [](auto& s) { s.set_mode(04600); }},
    {"removed, and has a key", [](auto& s) { s.set_mode(0600 | kinds::kSegmentRemoved); }},
    {"impossible pages", [](auto& s) { s.set_huge_page_shift(3); }},
    {"impossible pages", [](auto& s) { s.set_huge_page_shift(63); }},
    {"behind its end", [](auto& s) { s.mutable_tail()->mutable_extents(0)->set_offset(0); }},
    {"behind its end", [](auto& s) { s.mutable_tail()->set_size(1 << 20); }},
    {"behind its end", [](auto& s) { s.mutable_tail()->add_extents(); }},
};

pb::SysvSegment good_segment() {
  pb::SysvSegment segment;
  segment.set_id(7);
  segment.set_key(5);
  segment.set_size(5000);
  segment.set_mode(0600);
  segment.mutable_content()->set_size(5000);
  segment.mutable_tail()->set_size(8192);
  segment.mutable_tail()->add_extents()->set_offset(5000);
  segment.mutable_tail()->mutable_extents(0)->set_length(3192);
  return segment;
}

Result<pb::SysvSegment> unpacked(const google::protobuf::Message& detail) {
  pb::FileObject object;
  object.mutable_detail()->PackFrom(detail);
  return kinds::unpack_segment(object);
}

}  // namespace

TEST_CASE("damaged segments are refused") {
  CHECK(unpacked(good_segment()).has_value());
  CHECK_FALSE(unpacked(pb::FileObject()).has_value());
  for (const Row& row : kRows) {
    CAPTURE(row.message);
    pb::SysvSegment segment = good_segment();
    row.change(segment);
    auto result = unpacked(segment);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code() == Error::Code::BadImage);
    CHECK(result.error().message().find(row.message) != std::string::npos);
  }
}
