// SPDX-License-Identifier: Apache-2.0
// Processes in which a thread execs all the time, so that it takes its leader's number under the eyes of who
// freezes them. The environment counts down, and says when it is enough on a machine that is slow; before
// main(), as the harness is not for them.
#include <pthread.h>
#include <sys/wait.h>
#include <time.h>

#include <array>
#include <atomic>
#include <vector>

#include "harness/cr_test.h"

namespace {

constexpr const char* kCount = "CR_EXEC_STORM";
constexpr int kLast = 7;
constexpr long kLongestS = 15;

// What the environment holds: so many times, and until then.
struct Left {
  int times = 0;
  long until_s = 0;
};

Left left() {
  Left left;
  REQUIRE(std::sscanf(std::getenv(kCount), "%d %ld", &left.times, &left.until_s) == 2);
  return left;
}

void* exec_again(void*) {
  static char program[] = "/proc/self/exe";
  static char count[64];
  const Left now = left();
  std::snprintf(count, sizeof count, "%s=%d %ld", kCount, now.times - 1, now.until_s);
  std::array<char*, 2> argv{program, nullptr}, envp{count, nullptr};
  ::execve("/proc/self/exe", argv.data(), envp.data());
  ::_exit(99);
}

void* wait_a_little(void*) {
  ::usleep(200);
  return nullptr;
}

[[gnu::constructor]] void storm() {
  if (std::getenv(kCount) == nullptr) return;
  if (const Left now = left(); now.times == 0 || ::time(nullptr) > now.until_s) ::_exit(kLast);
  pthread_t thread;
  for (int i = 0; i < 3; ++i) REQUIRE(::pthread_create(&thread, nullptr, wait_a_little, nullptr) == 0);
  REQUIRE(::pthread_create(&thread, nullptr, exec_again, nullptr) == 0);
  for (;;) ::pause();
}

}  // namespace

void cr::test() {
  std::vector<pid_t> pids;
  for (int i = 0; i < 3; ++i) {
    pids.push_back(::fork());
    REQUIRE(pids.back() >= 0);
    if (pids.back() != 0) continue;
    // Enough to go on for as long as the checkpoint takes; where all is slow fewer are.
    const std::string count = std::string(kCount) + (patience() > 1 ? "=150 " : "=1500 ") +
                              std::to_string(::time(nullptr) + kLongestS * patience());
    std::array<char*, 2> argv{const_cast<char*>("storm"), nullptr},
        envp{const_cast<char*>(count.c_str()), nullptr};
    ::execve("/proc/self/exe", argv.data(), envp.data());
    ::_exit(98);
  }
  ::usleep(50'000);
  checkpoint_here();
  for (pid_t pid : pids) {
    int status = 0;
    CHECK_EQ(::waitpid(pid, &status, 0), pid);
    CHECK(WIFEXITED(status));
    CHECK_EQ(WEXITSTATUS(status), kLast);
  }
}

cr::Options cr::options() {
  // Nothing holds still here.
  return {.ignore = {"*"}};
}
