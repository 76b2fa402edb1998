// SPDX-License-Identifier: Apache-2.0
// A message that is too long to be read, in a queue without a name: it is said, and stays where it is.
#include <mqueue.h>

#include <fstream>
#include <string>

#include "harness/cr_test.h"

constexpr std::size_t kBytes = 20 * 1024 + 1;

namespace {

// Who is bound to it may make no queue for such messages: raised as long as this lives.
class RaisedLimit {
 public:
  RaisedLimit() {
    std::ifstream(kPath) >> before_;
    if (before_ < kBytes) std::ofstream(kPath) << kBytes;
  }
  ~RaisedLimit() {
    if (before_ < kBytes) std::ofstream(kPath) << before_;
  }

 private:
  static constexpr const char* kPath = "/proc/sys/fs/mqueue/msgsize_max";
  std::size_t before_ = 0;
};

}  // namespace

void cr::test() {
  const std::string name = "/bpfckpt-test-" + std::to_string(::getpid());
  mq_attr attributes{};
  attributes.mq_maxmsg = 2;
  attributes.mq_msgsize = kBytes;
  mqd_t queue = -1;
  {
    const RaisedLimit limit;
    queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
  }
  if (queue < 0 && errno == ENOSYS) skip("mqueue");
  if (queue < 0 && errno == EINVAL) skip("machine: fs.mqueue.msgsize_max");
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
