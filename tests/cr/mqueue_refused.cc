// SPDX-License-Identifier: Apache-2.0
// A message that is too long to be read, in a queue without a name: it is said, and stays where it is.
#include <mqueue.h>

#include <string>

#include "harness/cr_test.h"

constexpr std::size_t kBytes = 20 * 1024 + 1;

void cr::test() {
  const std::string name = "/bpfckpt-test-" + std::to_string(::getpid());
  mq_attr attributes{};
  attributes.mq_maxmsg = 2;
  attributes.mq_msgsize = kBytes;
  const mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  if (queue < 0 && errno == ENOSYS) skip("mqueue");
  // fs.mqueue.msgsize_max is less, and this root is bound to it.
  if (queue < 0 && errno == EINVAL) skip("capability: CAP_SYS_RESOURCE");
  REQUIRE(queue >= 0 && ::mq_unlink(name.c_str()) == 0);
  const std::string message(kBytes, 'k');
  REQUIRE(::mq_send(queue, message.data(), message.size(), 0) == 0);
  REQUIRE(::mq_send(queue, "short", 5, 0) == 0);
  checkpoint_here();
  std::string buffer(kBytes, 0);
  CHECK_EQ(::mq_receive(queue, buffer.data(), buffer.size(), nullptr), static_cast<ssize_t>(kBytes));
  CHECK(buffer == message);
}

cr::Options cr::options() {
  return {.refused = "of its 2 messages 1 can be read"};
}
