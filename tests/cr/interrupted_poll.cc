// SPDX-License-Identifier: Apache-2.0
// poll, ppoll and select: with a time limit they last it out, without one they wake for data; a ppoll's
// signal mask is in force while it waits and gone after it.
#include <poll.h>
#include <signal.h>
#include <sys/select.h>
#include <time.h>

#include <array>
#include <atomic>
#include <thread>

#include "harness/cr_test.h"

namespace {

double now() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

// Long enough to be caught in the middle of; where all is slow that takes longer.
time_t length_s() {
  return cr::patience() > 1 ? 12 : 2;
}

}  // namespace

void cr::test() {
  int silent[2], spoken[2];
  REQUIRE(::pipe(silent) == 0 && ::pipe(spoken) == 0);
  std::array<std::atomic<pid_t>, 4> tids{};
  std::thread limited([&] {
    tids[0] = gettid();
    pollfd fd{silent[0], POLLIN, 0};
    const double start = now();
    CHECK_EQ(::poll(&fd, 1, static_cast<int>(length_s()) * 1000), 0);
    CHECK(now() - start >= static_cast<double>(length_s()));
  });
  std::thread selecting([&] {
    tids[1] = gettid();
    fd_set set;
    FD_ZERO(&set);
    FD_SET(silent[0], &set);
    timeval limit{length_s() - 1, 500'000};
    const double start = now();
    CHECK_EQ(::select(silent[0] + 1, &set, nullptr, nullptr, &limit), 0);
    CHECK(now() - start >= static_cast<double>(length_s()) - 0.5);
  });
  std::thread endless([&] {
    tids[2] = gettid();
    pollfd fd{spoken[0], POLLIN, 0};
    CHECK_EQ(::poll(&fd, 1, -1), 1);
    CHECK_EQ(fd.revents, POLLIN);
  });
  std::thread masked([&] {
    tids[3] = gettid();
    sigset_t none, before, after;
    ::sigemptyset(&none);
    ::sigaddset(&none, SIGUSR2);
    ::pthread_sigmask(SIG_SETMASK, nullptr, &before);
    pollfd fd{spoken[0], POLLIN, 0};
    CHECK_EQ(::ppoll(&fd, 1, nullptr, &none), 1);
    ::pthread_sigmask(SIG_SETMASK, nullptr, &after);
    CHECK(std::memcmp(&before, &after, 8) == 0);
  });
  for (const std::atomic<pid_t>& tid : tids) {
    while (tid == 0) ::usleep(1000);
    wait_in_syscall(tid, -1);
  }
  checkpoint_here();
  REQUIRE(::write(spoken[1], "x", 1) == 1);
  for (std::thread* thread : {&limited, &selecting, &endless, &masked}) thread->join();
}

cr::Options cr::options() {
  // Threads whose time is up end while the runner is looking.
  return {.ignore = {"*/thread/*", "*/tids", "*/shares/*", "*/map/*", "*/memory"}};
}
