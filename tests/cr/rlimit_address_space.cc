// SPDX-License-Identifier: Apache-2.0
// A process that has used up its address-space limit to the last page: there is no room for anything to be
// mapped into it. It can be read from outside only, signal dispositions and their masks included.
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <fstream>

#include "harness/cr_test.h"

namespace {

volatile sig_atomic_t handled = 0;

void handler(int, siginfo_t* info, void*) {
  sigset_t now;
  ::sigprocmask(SIG_BLOCK, nullptr, &now);
  handled = info->si_signo == SIGUSR1 && sigismember(&now, SIGUSR2) == 1 && sigismember(&now, SIGUSR1) == 0;
}

}  // namespace

void cr::test() {
  struct sigaction action = {};
  action.sa_sigaction = handler;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_NODEFER;
  sigaddset(&action.sa_mask, SIGUSR2);
  REQUIRE(::sigaction(SIGUSR1, &action, nullptr) == 0);
  REQUIRE(::signal(SIGRTMAX, SIG_IGN) != SIG_ERR);
  // One area more, so that the limit can be met exactly whatever the allocator does before.
  void* reserve = ::mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(reserve != MAP_FAILED);
  unsigned long pages = 0;
  {
    std::ifstream statm("/proc/self/statm");
    statm >> pages;
  }
  const rlimit limit{pages * 4096, RLIM_INFINITY};
  REQUIRE(::setrlimit(RLIMIT_AS, &limit) == 0);
  // The stream's buffer may have gone back to the kernel: what can be mapped now is less than a page or so.
  while (::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) {
  }
  CHECK_EQ(errno, ENOMEM);
  checkpoint_here();
  CHECK(::mmap(nullptr, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
  CHECK_EQ(errno, ENOMEM);
  REQUIRE(::raise(SIGUSR1) == 0);
  CHECK_EQ(static_cast<int>(handled), 1);
  struct sigaction now = {};
  REQUIRE(::sigaction(SIGUSR1, nullptr, &now) == 0);
  CHECK(now.sa_sigaction == handler);
  CHECK_EQ(now.sa_flags & ~0x04000000 /*SA_RESTORER*/, action.sa_flags);
  CHECK(::signal(SIGRTMAX, SIG_DFL) == SIG_IGN);
  REQUIRE(::munmap(reserve, 1 << 20) == 0);
  CHECK(::mmap(nullptr, 1 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
}
