// SPDX-License-Identifier: Apache-2.0
// Eventfds and their like against what /proc/PID/fdinfo shows of them.
#include <sys/eventfd.h>

#include "images/kinds/eventfd.pb.h"
#include "oracle/target.h"

using namespace oracle;

namespace {

using Fields = std::map<std::string, std::string>;

// What the model says about each descriptor from 100 to 199.
template <class Detail>
void for_each(const Target& target, const char* kind, void (*compare)(const Detail&, Fields&)) {
  const auto model = model_of(target.pid());
  bpfckpt::ModelIndex index(model);
  int seen = 0;
  for (const auto& entry : model.files.tables(0).entries()) {
    if (entry.fd() < 100 || entry.fd() > 199) continue;
    CAPTURE(entry.fd());
    const auto& file = *index.file(entry.file_id());
    CHECK(file.kind() == kind);
    CHECK(file.object_id() == 0);
    Detail detail;
    REQUIRE(file.detail().UnpackTo(&detail));
    auto fields = target.fields("fdinfo/" + std::to_string(entry.fd()));
    CHECK(file.flags() == (std::stoul(fields["flags"], nullptr, 8) & ~std::uint32_t{O_CLOEXEC}));
    compare(detail, fields);
    ++seen;
  }
  CHECK(seen > 2);
}

}  // namespace

TEST_CASE("eventfd") {
  Target target([] {
    ::dup2(::eventfd(0, 0), 100);
    ::dup2(::eventfd(0xffffffff, EFD_NONBLOCK | EFD_SEMAPHORE), 101);
    ::dup2(::eventfd(0, EFD_NONBLOCK), 102);
    const std::uint64_t most = UINT64_MAX - 1;
    if (::write(102, &most, sizeof most) != sizeof most) ::_exit(1);
  });
  for_each<bpfckpt::pb::Eventfd>(target, "eventfd", [](const auto& eventfd, Fields& fields) {
    CHECK(eventfd.count() == hex(fields["eventfd-count"]));
    if (auto semaphore = fields.find("eventfd-semaphore"); semaphore != fields.end())  // since 6.6
      CHECK(eventfd.semaphore() == (std::stoul(semaphore->second) != 0));
  });
}
