// SPDX-License-Identifier: Apache-2.0
// Seizing a process whose execve() waits for a thread that we hold.
#include "target/attacher.h"

#include <doctest/doctest.h>
#include <sys/syscall.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "harness/victim.h"
#include "target/freeze.h"

namespace bpfckpt::target {
namespace {

using namespace std::chrono_literals;
using victim::Process;
using victim::Shared;
using victim::status_line;
using victim::until;

struct Tids {
  std::atomic<pid_t> held, executing;
  std::atomic<bool> go;
};

// One thread sleeps, another executes sleep(1) when it is told to.
int two_threads(Tids& tids) {
  std::thread([&] {
    tids.held = ::gettid();
    for (;;) ::pause();
  }).detach();
  std::thread([&] {
    tids.executing = ::gettid();
    while (!tids.go) ::usleep(1000);
    ::execl("/bin/sleep", "sleep", "1000", nullptr);
  }).detach();
  for (;;) ::pause();
}

}  // namespace

TEST_CASE("an execve() that waits for a thread of ours is not waited for") {
  Shared<Tids> tids;
  Process process([&] { return two_threads(*tids); });
  until([&] { return tids->held != 0 && tids->executing != 0; });
  Waiter waiter;
  Attacher attacher;
  REQUIRE(attacher.seize(tids->held, 0) == 0);
  tids->go = true;
  // Dead, and not waited for.
  until([&] { return status_line(tids->held, "State").starts_with("Z"); });
  CHECK(attacher.seize(tids->executing, 0) == EINTR);

  const auto status = waiter.poll(tids->held);
  REQUIRE(status);
  CHECK_FALSE(status->stopped());
  // It has its leader's number now.
  until([&] { return victim::text_of(victim::proc(process.pid(), "comm")) == "sleep\n"; });
  CHECK(attacher.seize(process.pid(), 0) == 0);
  SeizedTask task = SeizedTask::adopt(waiter, process.pid());
  CHECK(task.stop(within(5s)));
}

TEST_CASE("what is no task is told as such") {
  Attacher attacher;
  CHECK(attacher.seize(::getpid(), 0) == EPERM);
  Process process([] { return 0; });
  const pid_t pid = process.pid();
  process.join();
  CHECK(attacher.seize(pid, 0) == ESRCH);
}

}  // namespace bpfckpt::target
