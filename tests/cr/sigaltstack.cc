// SPDX-License-Identifier: Apache-2.0
// The alternate signal stack of each thread, disabled, set, and in use: one thread is checkpointed inside a
// handler that runs on it.
#include <signal.h>
#include <sys/mman.h>

#include <thread>

#include "harness/cr_test.h"

namespace {

constexpr std::size_t kSize = 64 << 10;

stack_t make_stack() {
  void* base = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(base != MAP_FAILED);
  return {.ss_sp = base, .ss_flags = 0, .ss_size = kSize};
}

void expect(const stack_t& wanted, int flags) {
  stack_t now{};
  CHECK_EQ(::sigaltstack(nullptr, &now), 0);
  CHECK_EQ(now.ss_sp, wanted.ss_sp);
  CHECK_EQ(now.ss_size, wanted.ss_size);
  CHECK_EQ(now.ss_flags, flags);
}

thread_local stack_t mine;
thread_local int handled = 0;

void on_stack(int signal, siginfo_t* info, void*) {
  char here;
  CHECK(&here >= mine.ss_sp && &here < static_cast<char*>(mine.ss_sp) + kSize);
  if (signal == SIGUSR1) {
    cr::wait_released();
    expect(mine, SS_ONSTACK);
    CHECK_EQ(info->si_value.sival_int, 9);
  }
  ++handled;
}

}  // namespace

void cr::test() {
  struct sigaction action{};
  action.sa_sigaction = on_stack;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  REQUIRE(::sigaction(SIGUSR1, &action, nullptr) == 0);
  REQUIRE(::sigaction(SIGUSR2, &action, nullptr) == 0);
  std::thread inside([] {
    mine = make_stack();
    REQUIRE(::sigaltstack(&mine, nullptr) == 0);
    REQUIRE(::pthread_sigqueue(::pthread_self(), SIGUSR1, {.sival_int = 9}) == 0);
    CHECK_EQ(handled, 1);
    expect(mine, 0);
  });
  std::thread outside([] {
    mine = make_stack();
    REQUIRE(::sigaltstack(&mine, nullptr) == 0);
    wait_released();
    expect(mine, 0);
    ::pthread_kill(::pthread_self(), SIGUSR2);
    CHECK_EQ(handled, 1);
  });
  await_waiting(2);
  checkpoint_here();
  inside.join();
  outside.join();
  stack_t none{};
  CHECK_EQ(::sigaltstack(nullptr, &none), 0);
  CHECK_EQ(none.ss_flags, SS_DISABLE);
}

cr::Options cr::options() {
  // The handler polls on its stack.
  return {.ignore = {"*/memory"}};
}
