// SPDX-License-Identifier: Apache-2.0
// Stopping trees that do not keep still.
#include <doctest/doctest.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "harness/victim.h"
#include "target/freeze.h"

namespace bpfckpt::target {
namespace {

using namespace std::chrono_literals;
using victim::proc;
using victim::Process;
using victim::Shared;
using victim::status_line;
using victim::until;

}  // namespace

TEST_CASE("freeze stops threads and children, and lets them go") {
  Shared<std::atomic<int>> counters, started;
  Process process([&] {
    for (int i = 0; i < 3; ++i)
      std::thread([&] {
        ++*started;
        for (;;) ++*counters;
      }).detach();
    if (::fork() == 0) {
      ++*started;
      for (;;) ++*counters;
    }
    for (;;) ::pause();
    return 0;
  });
  until([&] { return *started == 4 && *counters > 1000; });
  Waiter waiter;
  auto tree = freeze(waiter, victim::tree_reader(process.pid()));
  REQUIRE_MESSAGE(tree, tree.error().message());
  CHECK(tree->size() == 5);
  const int stopped_at = *counters;
  std::this_thread::sleep_for(50ms);
  CHECK(*counters == stopped_at);
  pid_t child = 0;
  for (const auto& member : tree->members())
    if (member.tgid != process.pid()) child = member.tgid;
  REQUIRE(child > 0);  // kill(0) would be for our own group
  tree->release();
  until([&] { return *counters > stopped_at + 1000; });
  ::kill(child, SIGKILL);
}

TEST_CASE("a frozen tree can be ended, threads and all") {
  Shared<std::atomic<int>> ready;
  Process process([&] {
    for (int i = 0; i < 5; ++i)
      std::thread([&] {
        ++*ready;
        for (;;) ::pause();
      }).detach();
    if (::fork() == 0) {
      ++*ready;
      for (;;) ::pause();
    }
    for (;;) ::pause();
    return 0;
  });
  until([&] { return *ready == 6; });
  Waiter waiter;
  auto tree = freeze(waiter, victim::tree_reader(process.pid()));
  REQUIRE(tree);
  const auto members = tree->members();
  tree->kill();
  for (const auto& member : members) CHECK(!victim::status_line(member.tid, "State").starts_with("t"));
  CHECK(::kill(process.pid(), 0) == -1);
}

TEST_CASE("a tree that forks and vforks all the time is caught") {
  Shared<std::atomic<int>> rounds;
  Process process([&] {
    for (int i = 0; i < 2; ++i)
      if (::fork() == 0) break;
    for (;;) {
      const pid_t child = ++*rounds % 2 == 0 ? ::fork() : ::vfork();
      if (child == 0) {
        ::usleep(1000);
        ::_exit(0);
      }
      ::waitpid(child, nullptr, 0);
    }
    return 0;
  });
  until([&] { return *rounds > 20; });
  for (int i = 0; i < 20; ++i) {
    Waiter waiter;
    auto tree = freeze(waiter, victim::tree_reader(process.pid()));
    REQUIRE_MESSAGE(tree, tree.error().message());
    const int stopped_at = *rounds;
    std::this_thread::sleep_for(10ms);
    CHECK(*rounds == stopped_at);
    if (i == 19)
      for (const auto& member : tree->members())
        if (member.tgid != process.pid()) ::kill(member.tgid, SIGKILL);
  }
}

TEST_CASE("the tree is read once more when all stand") {
  // Its child is kept from the reader's eyes: the task stops when the second reading is over, and not before.
  struct Vfork {
    std::atomic<pid_t> child{0};
    std::atomic<bool> ends{false};
  };
  Shared<Vfork> vfork;
  Process process([&] {
    if (::vfork() == 0) {
      vfork->child = ::getpid();
      while (!vfork->ends) ::usleep(1000);
      ::_exit(0);
    }
    for (;;) ::pause();
    return 0;
  });
  until([&] { return vfork->child != 0 && status_line(process.pid(), "State").starts_with("D"); });
  int readings = 0;
  std::string last;
  auto read = [&]() -> Result<std::vector<TreeMember>> {
    last = status_line(process.pid(), "State");
    if (++readings == 2) vfork->ends = true;
    TreeMember member{.tid = process.pid(), .tgid = process.pid()};
    member.runs = !last.starts_with("t");
    member.uninterruptible = last.starts_with("D");
    return std::vector{member};
  };
  Waiter waiter;
  const auto tree = freeze(waiter, read);
  REQUIRE_MESSAGE(tree, tree.error().message());
  CHECK(readings >= 3);
  CHECK_MESSAGE(last.starts_with("t"), last);
}

TEST_CASE("freeze names who traces a task already") {
  Process process([] {
    for (;;) ::pause();
    return 0;
  });
  Process tracer([&] {
    Waiter waiter;
    auto task = SeizedTask::seize(waiter, process.pid());
    for (;;) ::pause();
    return 0;
  });
  until([&] { return status_line(process.pid(), "TracerPid") != "0"; });
  Waiter waiter;
  const auto tree = freeze(waiter, victim::tree_reader(process.pid()));
  REQUIRE(!tree);
  CHECK_MESSAGE(
      tree.error().message().find(fmt::format("traced by pid {}", tracer.pid())) != std::string::npos,
      tree.error().message());
}

TEST_CASE("freeze gives up in time and names who waits for a vforked child") {
  Shared<std::atomic<pid_t>> child;
  Process process([&] {
    if (::vfork() == 0) {
      *child = ::getpid();
      for (;;) ::pause();
    }
    return 0;
  });
  until([&] { return *child != 0; });
  Waiter waiter;
  const auto tree = freeze(waiter, victim::tree_reader(process.pid()), {.timeout = 300ms});
  REQUIRE(!tree);
  CHECK(tree.error().err() == ETIMEDOUT);
  CHECK(tree.error().message().find(fmt::format("pid {} is in state D", process.pid())) != std::string::npos);
  CHECK(tree.error().message().find(fmt::format("pid {})", child->load())) != std::string::npos);
  REQUIRE(*child > 0);
  ::kill(*child, SIGKILL);
}

// What is told of the leader by a reading in the middle of which the thread execs: that it stands, or that it
// dies.
TEST_CASE("a thread that execs while the tree is read is caught under the number that it takes") {
  for (const bool seized_before : {false, true})
    for (const bool leader_dies : {false, true}) {
      CAPTURE(seized_before);
      CAPTURE(leader_dies);
      Shared<std::atomic<pid_t>> executor;
      Shared<std::atomic<int>> go;
      Process process([&] {
        std::thread([&] {
          *executor = ::gettid();
          while (*go == 0) ::usleep(1000);
          ::execl("/bin/sleep", "sleep", "1000", nullptr);
        }).detach();
        for (;;) ::pause();
        return 0;
      });
      until([&] { return *executor != 0; });
      const pid_t leader = process.pid();
      const TreeReader read = victim::tree_reader(leader);
      int readings = 0;
      Waiter waiter;
      auto tree = freeze(waiter, [&]() -> Result<std::vector<TreeMember>> {
        TRY_ASSIGN(std::vector<TreeMember> members, read());
        // The thread is further back than the reading has got.
        if (++readings <= 2) std::erase_if(members, [&](const auto& it) { return it.tid == *executor; });
        if (readings == 2) {
          if (seized_before) REQUIRE(::ptrace(PTRACE_SEIZE, executor->load(), 0, 0) == 0);
          *go = 1;
          until([&] { return victim::text_of(proc(leader, "comm")) == "sleep\n"; });
          if (leader_dies) members.front().gone = true;
        }
        return members;
      });
      REQUIRE_MESSAGE(tree, tree.error().message());
      REQUIRE(tree->size() == 1);
      CHECK(readings > 2);
      SeizedTask* task = tree->find(leader);
      REQUIRE(task != nullptr);
      CHECK(task->stands());
      CHECK(task->xstate());
    }
}

TEST_CASE("to ask for nobody's news takes nobody's") {
  const pid_t child = ::fork();  // of our process group
  if (child == 0) ::_exit(7);
  REQUIRE(::waitid(P_PID, static_cast<id_t>(child), nullptr, WEXITED | WNOWAIT) == 0);
  Waiter waiter;
  const auto news = waiter.poll(0);
  REQUIRE(news);
  CHECK(news->kind == TaskStatus::Kind::Gone);
  int status = 0;
  CHECK(::waitpid(child, &status, WNOHANG) == child);
  CHECK(WEXITSTATUS(status) == 7);
}

TEST_CASE("freeze waits until who exits is a zombie, and names who is none in time") {
  for (const bool ends : {true, false}) {
    CAPTURE(ends);
    Process process([] {
      for (;;) ::pause();
      return 0;
    });
    const TreeReader read = victim::tree_reader(process.pid());
    int readings = 0;
    Waiter waiter;
    const auto tree = freeze(waiter,
                             [&]() -> Result<std::vector<TreeMember>> {
                               TRY_ASSIGN(std::vector<TreeMember> members, read());
                               members.push_back({.tid = 4'000'000,
                                                  .tgid = 4'000'000,
                                                  .real_parent = process.pid(),
                                                  .gone = true,
                                                  .exiting = ++readings < 5 || !ends});
                               return members;
                             },
                             {.timeout = ends ? 30s : 300ms});
    CHECK(readings >= (ends ? 5 : 1));
    CHECK_EQ(tree.has_value(), ends);
    if (tree) continue;
    CHECK(tree.error().err() == ETIMEDOUT);
    CHECK_MESSAGE(tree.error().message().find(
                      "pid 4000000 thread 4000000 does not come to the end of its exit") != std::string::npos,
                  tree.error().message());
  }
}

}  // namespace bpfckpt::target
