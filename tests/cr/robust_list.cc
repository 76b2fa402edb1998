// SPDX-License-Identifier: Apache-2.0
// A robust mutex in shared memory whose owner dies after the restore tells the next one so (the robust list
// is registered again), and a thread's death still wakes pthread_join (clear_child_tid).
#include <pthread.h>
#include <sys/mman.h>

#include <thread>

#include "harness/cr_test.h"

void cr::test() {
  auto* mutex = static_cast<pthread_mutex_t*>(
      ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
  REQUIRE(mutex != MAP_FAILED);
  pthread_mutexattr_t attributes;
  ::pthread_mutexattr_init(&attributes);
  ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
  ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
  REQUIRE(::pthread_mutex_init(mutex, &attributes) == 0);
  auto* held = reinterpret_cast<volatile bool*>(mutex + 1);
  Child owner([&] {
    std::thread thread([&] {
      REQUIRE(::pthread_mutex_lock(mutex) == 0);
      *held = true;
      wait_released();
    });
    thread.join();  // ends only if the kernel clears the tid and wakes us
  });
  while (!*held) ::usleep(1000);
  checkpoint_here();
  CHECK_EQ(::pthread_mutex_lock(mutex), EOWNERDEAD);
  CHECK_EQ(::pthread_mutex_consistent(mutex), 0);
  CHECK_EQ(::pthread_mutex_unlock(mutex), 0);
  owner.join();
}

cr::Options cr::options() {
  // The owner polls on a thread's stack.
  return {.ignore = {"*/memory"}};
}
