// SPDX-License-Identifier: Apache-2.0
// The vDSO is where it was: its time runs on without a jump backwards, its getcpu is right, and it is the
// object that the auxiliary vector names.
#include <elf.h>
#include <sched.h>
#include <sys/auxv.h>
#include <time.h>

#include "harness/cr_memory.h"

namespace {

double now(clockid_t clock) {
  timespec t;
  REQUIRE(::clock_gettime(clock, &t) == 0);
  return t.tv_sec + t.tv_nsec / 1e9;
}

// The same without the vDSO.
double kernel_now(clockid_t clock) {
  timespec t;
  REQUIRE(::syscall(SYS_clock_gettime, clock, &t) == 0);
  return t.tv_sec + t.tv_nsec / 1e9;
}

}  // namespace

void cr::test() {
  const auto* vdso = reinterpret_cast<const char*>(::getauxval(AT_SYSINFO_EHDR));
  REQUIRE(vdso != nullptr);
  const std::string image(vdso, kPage);
  constexpr clockid_t kClocks[] = {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_MONOTONIC_COARSE};
  double before[4];
  for (int i = 0; i < 4; ++i) before[i] = now(kClocks[i]);
  checkpoint_here();
  CHECK(std::memcmp(vdso, ELFMAG, SELFMAG) == 0);
  CHECK(std::string(vdso, kPage) == image);
  for (int i = 0; i < 4; ++i) {
    const double low = kernel_now(kClocks[i]), middle = now(kClocks[i]), high = kernel_now(kClocks[i]);
    CHECK(before[i] <= low && low <= middle && middle <= high);
  }
  const int cpu = ::sched_getcpu();
  CHECK(cpu >= 0 && cpu < ::sysconf(_SC_NPROCESSORS_CONF));
}
