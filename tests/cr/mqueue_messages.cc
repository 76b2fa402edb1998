// SPDX-License-Identifier: Apache-2.0
// Messages of queues that lost their names: of one byte, of none, and of several pages; by priority, and in
// their order among equals; a full queue is full.
#include <mqueue.h>

#include <string>
#include <vector>

#include "harness/cr_test.h"

namespace {

struct Message {
  unsigned priority;
  std::string data;
};

mqd_t make(long messages, long bytes) {
  const std::string name = "/bpfckpt-test-" + std::to_string(::getpid());
  mq_attr attributes{};
  attributes.mq_maxmsg = messages;
  attributes.mq_msgsize = bytes;
  const mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_NONBLOCK | O_CREAT | O_EXCL, 0600, &attributes);
  if (queue < 0 && errno == ENOSYS) cr::skip("mqueue");
  REQUIRE(queue >= 0 && ::mq_unlink(name.c_str()) == 0);
  return queue;
}

void send(mqd_t queue, const Message& message) {
  REQUIRE(::mq_send(queue, message.data.data(), message.data.size(), message.priority) == 0);
}

void expect(mqd_t queue, const Message& message) {
  std::string buffer(8192, 0);
  unsigned priority = 0;
  const ssize_t n = ::mq_receive(queue, buffer.data(), buffer.size(), &priority);
  REQUIRE(n >= 0);
  buffer.resize(static_cast<std::size_t>(n));
  CHECK(buffer == message.data);
  CHECK_EQ(priority, message.priority);
}

// No two bytes that are near each other are the same, also a page apart.
std::string pattern(std::size_t bytes) {
  std::string out(bytes, 0);
  for (std::size_t i = 0; i < bytes; i++) out[i] = static_cast<char>(i * 7 + i / 251);
  return out;
}

}  // namespace

void cr::test() {
  // The first page of a message holds 4048 bytes, each other one 4088.
  const std::vector<Message> in_order = {{32767, "most urgent"},
                                         {9, pattern(8192)},
                                         {9, ""},
                                         {9, "x"},
                                         {5, pattern(4048)},
                                         {5, pattern(4049)},
                                         {3, pattern(8136)},
                                         {2, pattern(8137)},
                                         {0, pattern(4047)},
                                         {0, "last"}};
  const mqd_t queue = make(10, 8192), second = make(3, 8192), empty = make(2, 8192);
  // Sent by another order of priorities.
  for (unsigned priority : {5u, 0u, 32767u, 9u, 2u, 3u})
    for (const Message& message : in_order)
      if (message.priority == priority) send(queue, message);
  const int again = ::open(("/proc/self/fd/" + std::to_string(queue)).c_str(), O_RDONLY | O_NONBLOCK);
  REQUIRE(again >= 0);
  send(second, {1, "one"});
  send(second, {1, "two"});
  checkpoint_here();
  mq_attr attributes{};
  CHECK_EQ(::mq_getattr(queue, &attributes), 0);
  CHECK_EQ(attributes.mq_curmsgs, 10);
  CHECK(::mq_send(queue, "y", 1, 0) < 0 && errno == EAGAIN);
  for (std::size_t i = 0; i < in_order.size(); i++) expect(i % 2 == 0 ? queue : again, in_order[i]);
  char buffer[8192];
  CHECK(::mq_receive(queue, buffer, sizeof(buffer), nullptr) < 0 && errno == EAGAIN);
  send(second, {1, "three"});
  for (const char* text : {"one", "two", "three"}) expect(second, {1, text});
  CHECK(::mq_receive(empty, buffer, sizeof(buffer), nullptr) < 0 && errno == EAGAIN);
}
