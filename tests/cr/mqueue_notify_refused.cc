// SPDX-License-Identifier: Apache-2.0
// A process that is to be told of the next message of a queue is refused, and is told.
#include <mqueue.h>
#include <signal.h>

#include "harness/cr_test.h"

void cr::test() {
  sigset_t blocked;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGUSR1);
  REQUIRE(::sigprocmask(SIG_BLOCK, &blocked, nullptr) == 0);
  const std::string name = "/bpfckpt-test-" + std::to_string(::getpid());
  const mqd_t queue = ::mq_open(name.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600, nullptr);
  if (queue < 0 && errno == ENOSYS) skip("mqueue");
  REQUIRE(queue >= 0);
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGUSR1;
  REQUIRE(::mq_notify(queue, &event) == 0);
  checkpoint_here();
  CHECK_EQ(::mq_send(queue, "x", 1, 0), 0);
  const timespec limit{10, 0};
  CHECK_EQ(::sigtimedwait(&blocked, nullptr, &limit), SIGUSR1);
  CHECK_EQ(::mq_unlink(name.c_str()), 0);
}

cr::Options cr::options() {
  return {.refused = "(mq_notify)"};
}
