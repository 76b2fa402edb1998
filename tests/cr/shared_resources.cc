// SPDX-License-Identifier: Apache-2.0
// Processes that share one descriptor table, one working directory, one address space, one set of signal
// handlers: what one changes afterwards the other sees.
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness/cr_test.h"

namespace {

// A raw clone without CLONE_VM returns twice, like fork.
template <class Body>
pid_t clone_with(unsigned long flags, Body body) {
  const pid_t pid = static_cast<pid_t>(::syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
  if (pid == 0) {
    body();
    ::_exit(0);
  }
  REQUIRE(pid > 0);
  return pid;
}

void join(pid_t pid) {
  int status = -1;
  CHECK_EQ(::waitpid(pid, &status, 0), pid);
  CHECK_EQ(status, 0);
}

volatile int seen = 0;
int vm_body(void*) {
  while (!cr::released()) ::usleep(1000);
  seen = 5;
  return 0;
}

}  // namespace

void cr::test() {
  const pid_t files = clone_with(CLONE_FILES, [] {
    wait_released();
    REQUIRE(::fcntl(1, F_DUPFD, 70) == 70);
  });
  const pid_t fs = clone_with(CLONE_FS, [] {
    wait_released();
    REQUIRE(::chdir("/usr") == 0);
    ::umask(0123);
  });
  void* stack = ::mmap(nullptr, 256 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(stack != MAP_FAILED);
  const pid_t vm =
      ::clone(vm_body, static_cast<char*>(stack) + (256 << 10), CLONE_VM | CLONE_SIGHAND | SIGCHLD, nullptr);
  REQUIRE(vm > 0);
  await_waiting(2);
  checkpoint_here();
  join(files);
  CHECK(::fcntl(70, F_GETFD) >= 0);
  join(fs);
  char cwd[64];
  CHECK_EQ(std::string(::getcwd(cwd, sizeof(cwd))), "/usr");
  CHECK_EQ(::umask(0), 0123U);
  join(vm);
  CHECK_EQ(seen, 5);
}

cr::Options cr::options() {
  // One of them polls on a stack that is not the main one.
  return {.ignore = {"*/memory"}};
}
