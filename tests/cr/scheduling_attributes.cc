// SPDX-License-Identifier: Apache-2.0
// What only sched_setattr(2) gives: time slices of a thread's own, and the flags of the deadline policy.
#include <sched.h>

#include <thread>

#include "harness/cr_test.h"

namespace {

struct Attributes {
  std::uint32_t size = 48, policy = 0;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0, deadline = 0, period = 0;
};
static_assert(sizeof(Attributes) == 48);

bool set(const Attributes& attributes) {
  return ::syscall(SYS_sched_setattr, 0, &attributes, 0) == 0;
}

Attributes get() {
  Attributes now;
  CHECK_EQ(::syscall(SYS_sched_getattr, 0, &now, sizeof now, 0), 0);
  return now;
}

// Those of a thread are after the restore what they were before, whatever this kernel made of them.
void keeps(const Attributes& attributes) {
  if (!set(attributes)) std::printf("policy %u: %s\n", attributes.policy, std::strerror(errno));
  const Attributes before = get();
  cr::wait_released();
  const Attributes after = get();
  CHECK_EQ(after.policy, before.policy);
  CHECK_EQ(after.flags, before.flags);
  CHECK_EQ(after.nice, before.nice);
  CHECK_EQ(after.runtime, before.runtime);
  CHECK_EQ(after.deadline, before.deadline);
  CHECK_EQ(after.period, before.period);
}

}  // namespace

void cr::test() {
  constexpr std::uint64_t kMs = 1'000'000;
  std::thread plain(keeps, Attributes{.nice = 3});
  std::thread sliced(keeps, Attributes{.nice = 3, .runtime = 7 * kMs});
  std::thread batch(keeps, Attributes{.policy = SCHED_BATCH, .runtime = kMs / 2});
  // SCHED_FLAG_RECLAIM, SCHED_FLAG_DL_OVERRUN
  std::thread deadline(keeps, Attributes{.policy = 6 /*SCHED_DEADLINE*/,
                                         .flags = 2 | 4,
                                         .runtime = 2 * kMs,
                                         .deadline = 50 * kMs,
                                         .period = 100 * kMs});
  await_waiting(4);
  checkpoint_here();
  for (std::thread* thread : {&plain, &sliced, &batch, &deadline}) thread->join();
}
