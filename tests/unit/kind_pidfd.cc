// SPDX-License-Identifier: Apache-2.0
// What an image may say of a pidfd, and what it may not.
#include <doctest/doctest.h>
#include <fcntl.h>

#include "harness/kind_plan.h"
#include "harness/synthetic_model.h"
#include "images/kinds/pidfd.pb.h"

using namespace bpfckpt;
using kind_plan::file_with;
using kind_plan::text_of;

TEST_CASE("a pidfd leads to a process of the tree, or to nobody") {
  const Model model = synthetic::make_model("a", "b", "c");
  pb::Pidfd pidfd;
  pidfd.set_pid(100);
  CHECK(text_of(file_with("pidfd", pidfd), model).find("pidfd_open") != std::string::npos);
  CHECK(text_of(file_with("pidfd", pidfd, O_RDWR | O_TRUNC), model).starts_with("bad image: pidfd: "));
  pidfd.set_pid(103);  // a thread, not its process
  CHECK(text_of(file_with("pidfd", pidfd), model).starts_with("bad image: pidfd: 103"));
  CHECK(text_of(file_with("pidfd", pidfd, O_RDWR | O_EXCL), model).find("pidfd_open") != std::string::npos);
  for (std::uint32_t pid : {0u, 1u, 0xffffffffu}) {
    pidfd.set_pid(pid);
    for (std::uint32_t flags : {O_RDWR, O_RDWR | O_EXCL})
      CHECK(text_of(file_with("pidfd", pidfd, flags), model).starts_with("bad image: pidfd: "));
  }
  pidfd.set_dead(true);
  CHECK(text_of(file_with("pidfd", pidfd), model).find("dead-process") != std::string::npos);
  pidfd.set_exit_status(0x10000);
  CHECK(text_of(file_with("pidfd", pidfd), model).starts_with("bad image: pidfd: exit status"));
}
