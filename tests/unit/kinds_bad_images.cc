// SPDX-License-Identifier: Apache-2.0
// What an image says of a file is not believed: impossible details are refused when the plan is made.
#include <doctest/doctest.h>
#include <net/if.h>
#include <sys/stat.h>

#include <functional>

#include "images/kinds/pipe.pb.h"
#include "images/kinds/regular.pb.h"
#include "images/kinds/shmem.pb.h"
#include "images/kinds/tun.pb.h"
#include "kinds/kind.h"
#include "plan/builder.h"
#include "restore/environment.h"

using namespace bpfckpt;

namespace {

// One file of that kind, with an object where `object_detail` is given.
Result<void> plan_one(const char* kind, const google::protobuf::Message* object_detail,
                      const google::protobuf::Message* file_detail,
                      const std::function<void(pb::File&)>& change = {}) {
  Model model;
  pb::File& file = *model.files.add_files();
  file.set_id(1);
  file.set_kind(kind);
  file.mutable_path()->set_path("/tmp/somewhere");
  file.mutable_path()->set_deleted(true);
  if (file_detail != nullptr) file.mutable_detail()->PackFrom(*file_detail);
  pb::FileObject* object = nullptr;
  if (object_detail != nullptr) {
    file.set_object_id(2);
    object = model.files.add_objects();
    object->set_id(2);
    object->set_kind(kind);
    object->mutable_detail()->PackFrom(*object_detail);
  }
  if (change) change(file);
  ModelIndex index(model);
  restore::HostEnvironment environment({});
  PlanBuilder builder(model, index, environment);
  return kinds::find(kind)->plan(builder, file, object);
}

void check_refused(const Result<void>& result) {
  REQUIRE_FALSE(result.has_value());
  CHECK_MESSAGE(result.error().code() == Error::Code::BadImage, result.error().message());
}

}  // namespace

TEST_CASE("details of another type, or none") {
  const pb::Extent other;
  for (const char* kind : {"pipe", "shmem", "regular", "chardev", "blockdev"}) {
    CAPTURE(kind);
    check_refused(plan_one(kind, &other, nullptr));
  }
  for (const char* kind : {"pipe", "shmem", "unsupported"}) {
    CAPTURE(kind);
    check_refused(plan_one(kind, nullptr, nullptr));
  }
  check_refused(plan_one("tun", nullptr, &other));
  check_refused(plan_one("tun", nullptr, nullptr));
}

TEST_CASE("shared memory") {
  pb::SharedMemory memory;
  CHECK(plan_one("shmem", &memory, nullptr).has_value());
  memory.set_name(std::string(249, 'n'));
  CHECK(plan_one("shmem", &memory, nullptr).has_value());
  memory.set_name(std::string(250, 'n'));
  check_refused(plan_one("shmem", &memory, nullptr));
  memory.clear_name();
  memory.set_huge_page_shift(64);
  check_refused(plan_one("shmem", &memory, nullptr));
}

TEST_CASE("pipes") {
  pb::Pipe pipe;
  pipe.set_data("data");
  pipe.add_packets(3);
  CHECK(plan_one("pipe", &pipe, nullptr).has_value());
  pipe.add_packets(2);
  check_refused(plan_one("pipe", &pipe, nullptr));
}

TEST_CASE("nodes without a name") {
  pb::GhostFile ghost;
  for (const char* kind : {"regular", "chardev", "blockdev"}) {
    CAPTURE(kind);
    ghost.set_mode(S_IFCHR | 0600);
    CHECK(plan_one(kind, &ghost, nullptr).has_value());
    ghost.set_mode(0);
    check_refused(plan_one(kind, &ghost, nullptr));
  }
}

TEST_CASE("network interfaces") {
  pb::Tun tun;
  CHECK(plan_one("tun", nullptr, &tun).has_value());
  tun.set_interface(std::string(IFNAMSIZ - 1, 'n'));
  CHECK(plan_one("tun", nullptr, &tun).has_value());
  tun.set_hardware_address("12345");
  check_refused(plan_one("tun", nullptr, &tun));
  tun.clear_hardware_address();
  tun.set_interface(std::string(IFNAMSIZ, 'n'));
  check_refused(plan_one("tun", nullptr, &tun));
}
