// SPDX-License-Identifier: Apache-2.0
// Futex waits: relative, absolute and endless; woken by the right waker, or by their time limit and not
// before.
#include <linux/futex.h>
#include <time.h>

#include <array>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "harness/cr_test.h"

namespace {

double now() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

long futex(std::uint32_t* word, int operation, std::uint32_t value, const timespec* limit,
           std::uint32_t bits = 0) {
  return ::syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, limit, nullptr, bits);
}

// Long enough to be caught in the middle of; where all is slow that takes longer.
time_t length_s() {
  return cr::patience() > 1 ? 12 : 2;
}

}  // namespace

void cr::test() {
  static std::uint32_t silent = 0, spoken = 0;
  std::array<std::atomic<pid_t>, 4> tids{};
  std::thread relative([&] {
    tids[0] = gettid();
    const timespec limit{length_s() - 1, 500'000'000};
    const double start = now();
    CHECK_EQ(futex(&silent, FUTEX_WAIT, 0, &limit), -1);
    CHECK_EQ(errno, ETIMEDOUT);
    CHECK(now() - start >= static_cast<double>(length_s()) - 0.5);
  });
  std::thread absolute([&] {
    tids[1] = gettid();
    timespec limit;
    ::clock_gettime(CLOCK_MONOTONIC, &limit);
    limit.tv_sec += length_s();
    const double start = now();
    CHECK_EQ(futex(&silent, FUTEX_WAIT_BITSET, 0, &limit, FUTEX_BITSET_MATCH_ANY), -1);
    CHECK_EQ(errno, ETIMEDOUT);
    CHECK(now() - start >= static_cast<double>(length_s()) - 0.01);
  });
  std::thread endless([&] {
    tids[2] = gettid();
    CHECK_EQ(futex(&spoken, FUTEX_WAIT, 0, nullptr), 0);
  });
  std::mutex mutex;
  std::condition_variable condition;
  bool ready = false;
  std::thread waiting([&] {
    tids[3] = gettid();
    std::unique_lock lock(mutex);
    condition.wait(lock, [&] { return ready; });
  });
  for (const std::atomic<pid_t>& tid : tids) {
    while (tid == 0) ::usleep(1000);
    wait_in_syscall(tid, SYS_futex);
  }
  checkpoint_here();
  // The word stays 0: a waiter that was not waiting any more would return EAGAIN, a lost one would hang.
  while (futex(&spoken, FUTEX_WAKE, 1, nullptr) == 0) ::usleep(1000);
  {
    std::lock_guard lock(mutex);
    ready = true;
  }
  condition.notify_all();
  for (std::thread* thread : {&relative, &absolute, &endless, &waiting}) thread->join();
}

cr::Options cr::options() {
  // Threads whose time is up end while the runner is looking.
  return {.ignore = {"*/thread/*", "*/tids", "*/shares/*", "*/map/*", "*/memory"}};
}
