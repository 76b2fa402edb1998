// SPDX-License-Identifier: Apache-2.0
// Message queues: one with a name and messages of several priorities in it, one that lost its name, with its
// limits and two openers; whoever waits for a message gets it.
#include <mqueue.h>
#include <sys/stat.h>

#include "harness/cr_memory.h"

namespace {

constexpr long kMessageBytes = 64;

mqd_t make(const std::string& name, int flags, long messages) {
  mq_attr attributes{};
  attributes.mq_maxmsg = messages;
  attributes.mq_msgsize = kMessageBytes;
  const mqd_t queue = ::mq_open(name.c_str(), flags | O_CREAT | O_EXCL, 0640, &attributes);
  if (queue < 0 && errno == ENOSYS) cr::skip("mqueue");
  REQUIRE(queue >= 0);
  return queue;
}

void expect(mqd_t queue, const std::string& text, unsigned priority) {
  char buffer[kMessageBytes];
  unsigned got = 0;
  const ssize_t n = ::mq_receive(queue, buffer, sizeof(buffer), &got);
  CHECK_EQ(std::string(buffer, n > 0 ? static_cast<std::size_t>(n) : 0), text);
  CHECK_EQ(got, priority);
}

void send(mqd_t queue, const std::string& text, unsigned priority) {
  CHECK_EQ(::mq_send(queue, text.data(), text.size(), priority), 0);
}

}  // namespace

void cr::test() {
  const std::string prefix = "/bpfckpt-test-" + std::to_string(::getpid());
  const std::string named = prefix + "-named", lost = prefix + "-lost";
  const mqd_t queue = make(named, O_RDWR | O_NONBLOCK, 5);
  send(queue, "low", 1);
  send(queue, "urgent", 30);
  send(queue, "", 1);
  const mqd_t reader = make(lost, O_RDONLY, 3), writer = ::mq_open(lost.c_str(), O_WRONLY | O_NONBLOCK);
  REQUIRE(writer >= 0 && ::fchmod(reader, 0604) == 0 && ::mq_unlink(lost.c_str()) == 0);
  Child waiting([&] { expect(reader, "for the child", 3); });
  wait_in_syscall(waiting.pid(), SYS_mq_timedreceive);
  checkpoint_here();
  mq_attr attributes{};
  CHECK_EQ(::mq_getattr(queue, &attributes), 0);
  CHECK_EQ(attributes.mq_curmsgs, 3);
  CHECK_EQ(attributes.mq_maxmsg, 5);
  CHECK_EQ(attributes.mq_flags, O_NONBLOCK);
  expect(queue, "urgent", 30);
  expect(queue, "low", 1);
  expect(queue, "", 1);
  char buffer[kMessageBytes];
  CHECK(::mq_receive(queue, buffer, sizeof(buffer), nullptr) < 0 && errno == EAGAIN);
  CHECK_EQ(::mq_unlink(named.c_str()), 0);

  CHECK_EQ(::mq_getattr(reader, &attributes), 0);
  CHECK_EQ(attributes.mq_maxmsg, 3);
  CHECK_EQ(attributes.mq_msgsize, kMessageBytes);
  CHECK_EQ(attributes.mq_flags, 0);
  CHECK(::mq_open(lost.c_str(), O_RDONLY) < 0 && errno == ENOENT);
  send(writer, "for the child", 3);
  waiting.join();
  for (int i = 0; i < 3; ++i) send(writer, "x", 0);
  CHECK(::mq_send(writer, "y", 1, 0) < 0 && errno == EAGAIN);
  expect(reader, "x", 0);
}
