// SPDX-License-Identifier: Apache-2.0
// Restartable sequences stay registered: the kernel goes on writing the CPU number into each thread's area,
// and a thread that was frozen inside a critical section comes out of it through its abort handler.
#include <sched.h>
#include <sys/rseq.h>

#include <atomic>
#include <thread>

#include "harness/cr_test.h"

namespace {

volatile struct rseq& area() {
  return *reinterpret_cast<struct rseq*>(static_cast<char*>(__builtin_thread_pointer()) + __rseq_offset);
}

// Spins in a critical section until *stop; counts each abort.
void spin_in_section(const volatile int& stop, volatile long& aborts) {
  asm volatile(
      ".pushsection __rseq_cs, \"aw\"\n .balign 32\n"
      "3: .long 0, 0\n .quad 1f, 2f - 1f, 4f\n .popsection\n"
      ".pushsection __rseq_failure, \"ax\"\n"
      ".byte 0x0f, 0xb9, 0x3d\n .long 0x53053053\n"  // RSEQ_SIG, glibc's, as an invalid instruction
      "4: incq (%[aborts])\n jmp 5f\n .popsection\n"
      "5: lea 3b(%%rip), %%rax\n mov %%rax, 8(%[area])\n"
      "1: pause\n cmpl $0, (%[stop])\n je 1b\n"
      "2:\n"
      :
      : [area] "r"(&area()), [stop] "r"(&stop), [aborts] "r"(&aborts)
      : "rax", "cc", "memory");
}

void expect_live() {
  // The number may change between the two reads, but not each time.
  bool equal = false;
  for (int i = 0; i < 1000 && !equal; ++i) equal = static_cast<int>(area().cpu_id) == ::sched_getcpu();
  CHECK(equal);
  const int first = ::sched_getcpu();
  cpu_set_t saved, one;
  ::sched_getaffinity(0, sizeof(saved), &saved);
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &saved) || cpu == first) continue;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    CHECK_EQ(::sched_setaffinity(0, sizeof(one), &one), 0);
    CHECK_EQ(area().cpu_id, static_cast<unsigned>(cpu));
    break;
  }
  ::sched_setaffinity(0, sizeof(saved), &saved);
}

}  // namespace

void cr::test() {
  if (__rseq_size == 0) skip("rseq");
  static volatile int stop = 0;
  static volatile long aborts = 0;
  static volatile bool started = false;
  std::thread spinning([] {
    started = true;
    spin_in_section(stop, aborts);
    expect_live();
  });
  std::thread sleeping([] {
    wait_released();
    expect_live();
  });
  await_waiting(1);
  while (!started) ::usleep(1000);
  ::usleep(10'000);
  const long before = aborts;
  checkpoint_here();
  CHECK(aborts > before);
  stop = 1;
  spinning.join();
  sleeping.join();
  expect_live();
}

cr::Options cr::options() {
  // The count of aborts.
  return {.ignore = {"*/memory"}};
}
