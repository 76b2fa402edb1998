// SPDX-License-Identifier: Apache-2.0
// A hundred threads, each with its own thread-local data, name, signal mask and place where it waits.
#include <pthread.h>
#include <signal.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "harness/cr_test.h"

namespace {
thread_local int local[16];
}

void cr::test() {
  constexpr int kThreads = 100;
  std::mutex mutex;
  std::condition_variable condition, arrived;
  int waiting = 0, done = 0;
  bool go = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const pid_t tid = gettid();
      for (int& value : local) value = i;
      sigset_t mask, now;
      ::sigemptyset(&mask);
      ::sigaddset(&mask, 1 + i % 30);
      ::sigdelset(&mask, SIGKILL);
      ::sigdelset(&mask, SIGSTOP);
      ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
      const std::string name = "worker-" + std::to_string(i);
      ::pthread_setname_np(::pthread_self(), name.c_str());
      {
        std::unique_lock lock(mutex);
        ++waiting;
        arrived.notify_one();
        condition.wait(lock, [&] { return go; });
        ++done;
      }
      char now_named[16];
      ::pthread_getname_np(::pthread_self(), now_named, sizeof(now_named));
      CHECK_EQ(std::string(now_named), name);
      CHECK_EQ(gettid(), tid);
      ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
      CHECK(std::memcmp(&now, &mask, 8) == 0);
      for (const int value : local) CHECK_EQ(value, i);
    });
  }
  {
    std::unique_lock lock(mutex);
    arrived.wait(lock, [&] { return waiting == kThreads; });
  }
  ::usleep(20'000);
  checkpoint_here();
  {
    std::lock_guard lock(mutex);
    go = true;
  }
  condition.notify_all();
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(done, kThreads);
}
