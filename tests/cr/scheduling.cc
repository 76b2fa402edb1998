// SPDX-License-Identifier: Apache-2.0
// Policy, nice value, real-time priority, reset-on-fork, CPU affinity and I/O priority, thread by thread.
#include <sched.h>
#include <sys/resource.h>

#include <thread>

#include "harness/cr_test.h"

namespace {

constexpr int kWhoProcess = 1;  // linux/ioprio.h is not fit for C++

void with_policy(int policy, int priority, int nice) {
  REQUIRE(::setpriority(PRIO_PROCESS, cr::gettid(), nice) == 0);
  const sched_param parameters{priority};
  if (::sched_setscheduler(0, policy, &parameters) != 0) {
    std::printf("policy %#x: %s\n", policy, std::strerror(errno));
    policy = ::sched_getscheduler(0);
    priority = 0;
  }
  cr::wait_released();
  CHECK_EQ(::sched_getscheduler(0), policy);
  sched_param now{};
  CHECK_EQ(::sched_getparam(0, &now), 0);
  CHECK_EQ(now.sched_priority, priority);
  errno = 0;
  CHECK_EQ(::getpriority(PRIO_PROCESS, cr::gettid()), nice);
}

}  // namespace

void cr::test() {
  std::thread batch(with_policy, SCHED_BATCH, 0, 7);
  std::thread idle(with_policy, SCHED_IDLE, 0, 3);
  std::thread fifo(with_policy, SCHED_FIFO, 11, 0);
  std::thread round_robin(with_policy, SCHED_RR | SCHED_RESET_ON_FORK, 5, -4);
  std::thread reset(with_policy, SCHED_OTHER | SCHED_RESET_ON_FORK, 0, -2);
  const long io = 2 << 13 | 2;
  std::thread placed([=] {
    cpu_set_t first, now;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    REQUIRE(::sched_setaffinity(0, sizeof(first), &first) == 0);
    REQUIRE(::syscall(SYS_ioprio_set, kWhoProcess, 0, io) == 0);
    wait_released();
    CHECK_EQ(::sched_getaffinity(0, sizeof(now), &now), 0);
    CHECK(CPU_EQUAL(&first, &now));
    CHECK_EQ(::syscall(SYS_ioprio_get, kWhoProcess, 0), io);
  });
  await_waiting(6);
  checkpoint_here();
  for (std::thread* thread : {&batch, &idle, &fifo, &round_robin, &reset, &placed}) thread->join();
}
