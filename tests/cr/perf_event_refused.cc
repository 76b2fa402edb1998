// SPDX-License-Identifier: Apache-2.0
// A performance counter cannot be set to what it had counted.
#include <linux/perf_event.h>

#include "harness/cr_test.h"

void cr::test() {
  perf_event_attr attribute{};
  attribute.type = PERF_TYPE_SOFTWARE;
  attribute.size = sizeof attribute;
  attribute.config = PERF_COUNT_SW_TASK_CLOCK;
  const int fd = static_cast<int>(::syscall(SYS_perf_event_open, &attribute, 0, -1, -1, 0));
  if (fd < 0) skip("perf-events");
  checkpoint_here();
  std::uint64_t count = 0;
  CHECK_EQ(::read(fd, &count, 8), 8);
  CHECK(count > 0);
}

cr::Options cr::options() {
  return {.refused = "a performance counter"};
}
