// SPDX-License-Identifier: Apache-2.0
// Instructions that a thread made fault: RDTSC (PR_SET_TSC) and, where the CPU can do it, CPUID
// (ARCH_SET_CPUID). Each in a thread of its own, beside one that goes on as ever.
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <thread>

#include "harness/cr_test.h"

namespace {

constexpr int kArchGetCpuid = 0x1011;
constexpr int kArchSetCpuid = 0x1012;

int tsc() {
  int value = -1;
  CHECK_EQ(::prctl(PR_GET_TSC, &value, 0, 0, 0), 0);
  return value;
}

// The signal that a child of the calling thread dies of when it does that; 0: none.
template <class Body>
int signal_of(Body body) {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit none{0, 0};
    ::setrlimit(RLIMIT_CORE, &none);
    body();
    ::_exit(0);
  }
  int status = -1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

void read_tsc() {
  unsigned low, high;
  asm volatile("rdtsc" : "=a"(low), "=d"(high));
}

void read_cpuid() {
  unsigned a = 0, b, c, d;
  asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
}

}  // namespace

void cr::test() {
  const bool can_cpuid = ::syscall(SYS_arch_prctl, kArchSetCpuid, 1) == 0;
  // There are hypervisors under which the clock is read all the same: then it is the setting that has to be
  // kept.
  const int refused = signal_of([] {
    ::prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
    read_tsc();
  });
  Child child([can_cpuid, refused] {
    std::thread without_tsc([refused] {
      REQUIRE(::prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0);
      wait_released();
      CHECK_EQ(tsc(), PR_TSC_SIGSEGV);
      CHECK_EQ(signal_of(read_tsc), refused);
    });
    std::thread without_cpuid([can_cpuid] {
      if (can_cpuid) REQUIRE(::syscall(SYS_arch_prctl, kArchSetCpuid, 0) == 0);
      wait_released();
      CHECK_EQ(tsc(), PR_TSC_ENABLE);
      if (!can_cpuid) return;
      CHECK_EQ(::syscall(SYS_arch_prctl, kArchGetCpuid), 0);
      CHECK_EQ(signal_of(read_cpuid), SIGSEGV);
    });
    wait_released();
    CHECK_EQ(tsc(), PR_TSC_ENABLE);
    CHECK_EQ(signal_of(read_tsc), 0);
    if (can_cpuid) CHECK_EQ(::syscall(SYS_arch_prctl, kArchGetCpuid), 1);
    CHECK_EQ(signal_of(read_cpuid), 0);
    without_tsc.join();
    without_cpuid.join();
  });
  // A leader without it, whose children are without it, too.
  Child leader([refused] {
    REQUIRE(::prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0) == 0);
    wait_released();
    CHECK_EQ(tsc(), PR_TSC_SIGSEGV);
    CHECK_EQ(signal_of(read_tsc), refused);
  });
  await_waiting(4);
  checkpoint_here();
  child.join();
  leader.join();
}
