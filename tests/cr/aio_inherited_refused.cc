// SPDX-License-Identifier: Apache-2.0
// A child has its parent's ring as a mapping that leads nowhere; only the kernel can map it.
#include <linux/aio_abi.h>

#include "harness/cr_memory.h"

void cr::test() {
  aio_context_t ring = 0;
  if (::syscall(SYS_io_setup, 4, &ring) != 0) skip("aio");
  // Of what is not mapped msync(2) says ENOMEM.
  auto* inherited = reinterpret_cast<bool*>(map(kPage, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS));
  Child child([&] {
    *inherited = ::msync(reinterpret_cast<void*>(ring), kPage, MS_ASYNC) == 0;
    wait_released();
  });
  await_waiting(1);
  if (!*inherited) skip("aio-inherited");
  checkpoint_here();
  child.join();
  CHECK_EQ(::syscall(SYS_io_destroy, ring), 0);
}

cr::Options cr::options() {
  return {.refused = "it maps an AIO ring of another process"};
}
