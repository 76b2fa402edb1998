// SPDX-License-Identifier: Apache-2.0
// What an image says of AIO rings is not believed: sizes that the kernel makes none of, places outside of the
// ring and rings that are not mapped are refused when the plan is made.
#include <doctest/doctest.h>
#include <linux/aio_abi.h>

#include <functional>

#include "harness/kind_plan.h"
#include "harness/synthetic_model.h"
#include "restore/planner.h"

using namespace bpfckpt;

namespace {

class Machine : public kind_plan::EmptyMachine {
 public:
  bool path_exists(const std::string& path) const override { return path == "/" || path == "/tmp"; }
  std::vector<SpecialMapping> special_mappings() const override {
    return {{"[vdso]", 0x7ffd00100000, 0x7ffd00102000}};
  }
};

// Of io_setup(20): 42 events (fs/aio.c:ioctx_alloc()), and so one page with 127 slots.
constexpr std::uint64_t kAddress = 0x7f0000010000;

struct Case {
  Model model = synthetic::make_model("pages-1.img", "pages-2.img", "contents.img");
  pb::AddressSpace* mm = model.memory.mutable_address_spaces(0);
  pb::AioRing* ring = nullptr;

  Case() {
    model.tasks.mutable_processes(0)->set_sid(100);
    pb::File& file = synthetic::add_file(model, 7, "aio", "/[aio]", 2);
    file.mutable_path()->set_deleted(true);
    // By address: behind the shared mapping, before the stack.
    synthetic::add_vma(*mm, kAddress, kAddress + 4096, pb::FILE_SHARED, 1 | 2 | 8, 7);
    auto* vmas = mm->mutable_vmas();
    for (int i = vmas->size() - 1; i > 0 && vmas->Get(i - 1).start() > vmas->Get(i).start(); i--)
      vmas->SwapElements(i - 1, i);
    ring = mm->add_aio_rings();
    ring->set_address(kAddress);
    ring->set_size_bytes(4096);
    ring->set_max_requests(20);
    ring->set_slots(127);
    ring->set_head(126);
    ring->set_tail(1);
    ring->set_events(std::string(2 * sizeof(io_event), 'e'));
  }

  Result<Plan> planned() const {
    TRY(validate(model));
    return restore::make_plan(model, {}, Machine());
  }
};

struct Row {
  const char* message;
  std::function<void(pb::AioRing&)> change;
};

const Row kRows[] = {
    {"bad size", [](auto& ring) { ring.set_slots(0); }},
    {"bad size", [](auto& ring) { ring.set_slots(126); }},
    {"bad size", [](auto& ring) { ring.set_slots(0xffffffff); }},
    {"bad size", [](auto& ring) { ring.set_max_requests(0); }},
    {"bad size", [](auto& ring) { ring.set_size_bytes(0); }},
    {"bad size", [](auto& ring) { ring.set_size_bytes(4095); }},
    {"bad size", [](auto& ring) { ring.set_size_bytes(~0ull << 12); }},
    {"head or tail are outside of it", [](auto& ring) { ring.set_head(127); }},
    {"head or tail are outside of it", [](auto& ring) { ring.set_tail(0xffffffff); }},
    {"not those between head and tail", [](auto& ring) { ring.set_head(0); }},
    {"not those between head and tail", [](auto& ring) { ring.clear_events(); }},
    {"not those between head and tail", [](auto& ring) { ring.mutable_events()->pop_back(); }},
    {"no mapping of that size is there", [](auto& ring) { ring.set_address(0); }},
    {"no mapping of that size is there", [](auto& ring) { ring.set_address(kAddress + 4096); }},
    {"no mapping of that size is there",
     [](auto& ring) {
       ring.set_size_bytes(8192);
       ring.set_slots((8192 - 32) / 32);
       ring.set_head(0);
       ring.set_tail(2);
     }},
};

}  // namespace

TEST_CASE("a sound AIO ring is planned, a damaged one is refused") {
  auto good = Case().planned();
  REQUIRE_MESSAGE(good.has_value(), (good ? "" : good.error().message()));
  CHECK(to_text(*good).find("io_setup") != std::string::npos);
  for (const Row& row : kRows) {
    CAPTURE(row.message);
    Case damaged;
    row.change(*damaged.ring);
    auto result = damaged.planned();
    REQUIRE_FALSE(result.has_value());
    CHECK(result.error().code() == Error::Code::BadImage);
    CHECK_MESSAGE(result.error().message().find(row.message) != std::string::npos, result.error().message());
  }
}

TEST_CASE("nobody has a descriptor of an AIO ring, nor a mapping of one without the ring") {
  Case open;
  synthetic::add_fd(*open.model.files.mutable_tables(0), 21, 7);
  auto result = open.planned();
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code() == Error::Code::BadImage);
  Case bare;
  bare.mm->clear_aio_rings();
  result = bare.planned();
  REQUIRE_FALSE(result.has_value());
  CHECK(result.error().code() == Error::Code::BadImage);
}
