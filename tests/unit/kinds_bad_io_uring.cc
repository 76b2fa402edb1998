// SPDX-License-Identifier: Apache-2.0
// What an image says of an io_uring is not believed: impossible sizes, places and registrations are refused
// when the plan is made.
#include <doctest/doctest.h>

#include <functional>

#include "harness/kind_plan.h"
#include "images/kinds/io_uring.pb.h"

using namespace bpfckpt;

namespace {

pb::IoUring good_ring() {
  pb::IoUring ring;
  ring.set_mm_id(1);
  ring.set_sq_entries(8);
  ring.set_cq_entries(16);
  ring.set_sq_head(5);
  ring.set_cq_tail(5);
  ring.set_file_slots(4);
  ring.set_alloc_end(4);
  ring.add_files()->set_slot(1);
  ring.mutable_files(0)->set_file_id(2);
  ring.add_files()->set_slot(3);
  ring.mutable_files(1)->set_file_id(2);
  pb::IoUringLayout& layout = *ring.mutable_layout();
  layout.set_sq_tail(4);
  layout.set_cq_head(8);
  layout.set_cq_tail(12);
  layout.set_sq_mask(16);
  layout.set_cq_mask(20);
  layout.set_sq_flags(36);
  layout.set_cq_flags(40);
  layout.set_completions(64);
  for (auto* content : {ring.mutable_rings(), ring.mutable_entries()}) {
    content->set_image("contents.img");
    content->set_size(content == ring.mutable_rings() ? 64 + 16 * 16 + 8 * 4 : 8 * 64);
    content->add_extents()->set_length(content->size());
  }
  return ring;
}

Result<void> planned(const google::protobuf::Message& detail) {
  Model model;
  auto& process = *model.tasks.add_processes();
  process.set_pid(100);
  process.set_mm_id(1);
  process.add_threads()->set_tid(100);
  model.memory.add_address_spaces()->set_id(1);
  pb::File& file = *model.files.add_files();
  file.set_id(1);
  file.set_kind("io_uring");
  file.mutable_detail()->PackFrom(detail);
  pb::File& other = *model.files.add_files();
  other.set_id(2);
  other.set_kind("regular");
  ModelIndex index(model);
  kind_plan::EmptyMachine machine;
  PlanBuilder builder(model, index, machine);
  builder.phase("files");
  return kinds::find("io_uring")->make_inside(builder, file);
}

struct Row {
  const char* message;
  std::function<void(pb::IoUring&)> change;
};

const Row kRows[] = {
    {"impossible sizes", [](auto& ring) { ring.set_sq_entries(6); }},
    {"impossible sizes", [](auto& ring) { ring.set_sq_entries(0); }},
    {"impossible sizes", [](auto& ring) { ring.set_cq_entries(4); }},
    {"impossible sizes", [](auto& ring) { ring.set_cq_entries(1u << 31); }},
    {"not known", [](auto& ring) { ring.set_setup_flags(1u << 31); }},
    {"memory of the process's own", [](auto& ring) { ring.set_setup_flags(1 << 14); }},
    {"an impossible layout", [](auto& ring) { ring.mutable_layout()->set_sq_tail(2); }},
    {"an impossible layout", [](auto& ring) { ring.mutable_layout()->set_cq_mask(64); }},
    {"an impossible layout", [](auto& ring) { ring.mutable_layout()->set_cq_tail(0xfffffffc); }},
    {"an impossible layout", [](auto& ring) { ring.mutable_layout()->set_cq_flags(62); }},
    {"not those of its size", [](auto& ring) { ring.mutable_layout()->set_completions(1 << 20); }},
    {"not those of its size", [](auto& ring) { ring.mutable_rings()->set_size(7); }},
    {"not those of its size", [](auto& ring) { ring.mutable_entries()->clear_extents(); }},
    {"not those of its size", [](auto& ring) { ring.mutable_entries()->mutable_extents(0)->set_offset(8); }},
    {"not those of its size", [](auto& ring) { ring.mutable_entries()->set_image("other.img"); }},
    {"impossible slots", [](auto& ring) { ring.mutable_files(0)->set_slot(3); }},
    {"impossible slots", [](auto& ring) { ring.mutable_files(1)->set_slot(4); }},
    {"impossible slots", [](auto& ring) { ring.set_file_slots(1 << 21); }},
    {"impossible slots", [](auto& ring) { ring.set_buffer_slots(1 << 15); }},
    {"impossible slots", [](auto& ring) { ring.add_buffers()->set_slot(0); }},
    {"impossible slots", [](auto& ring) { ring.set_alloc_end(5); }},
    {"a registered file that is not there", [](auto& ring) { ring.mutable_files(0)->set_file_id(9); }},
    {"no descriptor of the tree leads to", [](auto& ring) { ring.mutable_files(0)->set_file_id(0); }},
    {"its eventfd is none", [](auto& ring) { ring.set_eventfd_file_id(2); }},
    {"there is no thread 7", [](auto& ring) { ring.set_submitter_tid(7); }},
    {"nobody has it", [](auto& ring) { ring.set_mm_id(2); }},
    {"forbid the NOPs", [](auto& ring) { ring.mutable_restrictions()->set_for_submission(true); }},
    {"dropped entries", [](auto& ring) { ring.set_cq_tail(4); }},
    {"in flight", [](auto& ring) { ring.add_waiting()->set_count(1); }},
};

}  // namespace

TEST_CASE("an io_uring in an image is checked") {
  auto good = planned(good_ring());
  CHECK_MESSAGE(good.has_value(), (good ? "" : good.error().message()));
  for (const Row& row : kRows) {
    CAPTURE(row.message);
    pb::IoUring ring = good_ring();
    row.change(ring);
    auto result = planned(ring);
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code() == Error::Code::BadImage);
    CHECK_MESSAGE(result.error().message().find(row.message) != std::string::npos, result.error().message());
  }
  CHECK_FALSE(planned(pb::Extent()).has_value());
}
