// SPDX-License-Identifier: Apache-2.0
// The GS base, which libc does not use, and the FS base behind thread-local storage, of every thread.
#include <asm/prctl.h>

#include <thread>

#include "harness/cr_test.h"

namespace {
thread_local int local = 0;
}

void cr::test() {
  auto body = [](int number) {
    local = number;
    static char areas[8][64];
    REQUIRE(::syscall(SYS_arch_prctl, ARCH_SET_GS, areas[number]) == 0);
    if (number == 0) {
      await_waiting(5);
      checkpoint_here();
    } else {
      wait_released();
    }
    unsigned long base = 0, fs = 0;
    CHECK_EQ(::syscall(SYS_arch_prctl, ARCH_GET_GS, &base), 0);
    CHECK_EQ(base, reinterpret_cast<unsigned long>(areas[number]));
    asm volatile("mov %%fs:0, %0" : "=r"(fs));
    CHECK_EQ(fs, reinterpret_cast<unsigned long>(pthread_self()));
    CHECK_EQ(local, number);
    char value = 'x';
    asm volatile("movb %0, %%gs:5" ::"r"(value) : "memory");
    CHECK_EQ(areas[number][5], 'x');
  };
  std::vector<std::thread> threads;
  for (int i = 1; i < 6; ++i) threads.emplace_back(body, i);
  body(0);
  for (std::thread& thread : threads) thread.join();
}
