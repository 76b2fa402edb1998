// SPDX-License-Identifier: Apache-2.0
// A restored process is a full one: it forks, makes threads, execs, maps memory, loads a library.
#include <dlfcn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <thread>

#include "harness/cr_test.h"

void cr::test() {
  std::thread early([] { wait_released(); });
  await_waiting(1);
  checkpoint_here();
  early.join();
  int sum = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 20; ++i)
    threads.emplace_back([&, i] { __atomic_fetch_add(&sum, i, __ATOMIC_SEQ_CST); });
  for (std::thread& thread : threads) thread.join();
  CHECK_EQ(sum, 190);
  Child child([] {
    std::thread thread([] {});
    thread.join();
  });
  child.join();
  CHECK_EQ(std::system("test $PPID = $PPID && exec true"), 0);
  void* big = ::mmap(nullptr, 64 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(big != MAP_FAILED);
  std::memset(big, 1, 64 << 20);
  CHECK(::dlopen("libutil.so.1", RTLD_NOW) != nullptr);
  CHECK(::setenv("NEW", "value", 1) == 0 && std::string(::getenv("NEW")) == "value");
}
