// SPDX-License-Identifier: Apache-2.0
// What a queue without a name holds is not taken yet: it is said, and stays where it is.
#include <mqueue.h>

#include "harness/cr_test.h"

void cr::test() {
  const std::string name = "/bpfckpt-test-" + std::to_string(::getpid());
  const mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, nullptr);
  if (queue < 0 && errno == ENOSYS) skip("mqueue");
  REQUIRE(queue >= 0 && ::mq_unlink(name.c_str()) == 0);
  REQUIRE(::mq_send(queue, "kept", 4, 0) == 0);
  checkpoint_here();
  char buffer[8192];
  CHECK_EQ(::mq_receive(queue, buffer, sizeof(buffer), nullptr), 4);
}

cr::Options cr::options() {
  return {.refused = "the queue has no name any more, and holds 1 messages"};
}
