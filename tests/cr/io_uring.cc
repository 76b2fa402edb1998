// SPDX-License-Identifier: Apache-2.0
// Rings are where they were: completions that nobody took, entries that nobody submitted, some not even
// published; and go on working, also for a thread that alone may submit, and one that polls.
#include <thread>

#include "harness/cr_memory.h"
#include "harness/cr_uring.h"

void cr::test() {
  const int fd = make_file("data", "0123456789abcdef");
  char buffer[16] = {};

  Uring fresh(4);

  Uring used(8);
  used.go_round(1003);
  for (std::uint64_t i = 0; i < 5; i++) {
    io_uring_sqe& entry = used.prepare(IORING_OP_READ, 500 + i);
    entry.fd = fd;
    entry.addr = reinterpret_cast<std::uint64_t>(buffer);
    entry.len = static_cast<std::uint32_t>(i + 1);
    entry.off = 4;
  }
  REQUIRE(used.submit() == 5);
  REQUIRE(used.take()->res == 1 && used.take()->user_data == 501);  // three wait to be taken
  used.prepare(IORING_OP_NOP, 600);
  used.publish();                    // the kernel may see it, but was not told
  used.prepare(IORING_OP_NOP, 601);  // nobody may see it yet

  Uring alone(16, kUringSingleIssuer | kUringDeferTaskrun);
  alone.go_round(77);

  Uring polled(4, IORING_SETUP_SQPOLL, 20);
  polled.go_round(9);

  checkpoint_here();

  CHECK_EQ(used.sq_head(), 1008u);
  CHECK_EQ(used.cq_tail(), 1008u);
  for (std::uint64_t i = 2; i < 5; i++) {
    auto completion = used.take();
    CHECK(completion && completion->user_data == 500 + i && completion->res == static_cast<int>(i + 1));
  }
  CHECK_EQ(used.submit(), 2);
  CHECK_EQ(used.take()->user_data, 600u);
  CHECK_EQ(used.take()->user_data, 601u);
  used.check_works(1010, 1010);
  fresh.check_works(0, 0);
  alone.check_works(77, 77);
  std::thread other([&] { CHECK(alone.enter(0, 0) == -1 && errno == EEXIST); });
  other.join();
  polled.check_works(9, 9);
  CHECK_EQ(std::string(buffer, 5), std::string("45678"));
}

// The thread that polls is the kernel's, and a new one; so is what it has used of a processor.
cr::Options cr::options() {
  // A worker of the kernel's may still be there, or not.
  return {.ignore = {"*/stat/threads", "*/status/Threads", "*/fd/*/SqThread", "*/fd/*/SqThreadCpu",
                     "*/fd/*/SqTotalTime", "*/fd/*/SqWorkTime"}};
}
