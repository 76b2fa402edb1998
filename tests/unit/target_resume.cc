// SPDX-License-Identifier: Apache-2.0
// The last step of a restore: threads that wait in the blob get registers, state and mask, and run.
#include "target/resume.h"

#include <doctest/doctest.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <array>
#include <chrono>
#include <cstring>
#include <optional>

#include "harness/victim.h"
#include "target/batch.h"
#include "target/memory.h"
#include "target/stub.h"

namespace bpfckpt::target {
namespace {

using namespace std::chrono_literals;

constexpr RemoteAddress kBase{0x100000000};
constexpr std::uint64_t kCode = 0x200000000;
constexpr std::uint64_t kStack = kCode + 0x4000;

// A stub with a page of code and a stack, ready to be let go.
class Restored {
 public:
  explicit Restored(std::span<const unsigned char> code, std::vector<SlotGeometry> slots = {kLeaderSlot})
      : area_(std::move(*Area::create(robust_, kBase, slots))), stub_(std::move(*start_stub(*area_, {}))) {
    Batch batch(area_->slot(0));
    batch.expect(batch.call(SYS_mmap, kCode, 0x4000, PROT_READ | PROT_WRITE | PROT_EXEC,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
                 static_cast<std::int64_t>(kCode));
    PidfdWatch watch(stub_.pidfd.get(), stub_.pid);
    REQUIRE(batch.run(watch));
    REQUIRE(write_memory(stub_.pid, RemoteAddress(kCode), std::as_bytes(code)));
  }
  ~Restored() {
    ::kill(stub_.pid, SIGKILL);
    ::waitpid(stub_.pid, nullptr, 0);
  }

  ResumeThread thread(pid_t tid) {
    ResumeThread thread{.tid = tid};
    thread.registers.rip = kCode;
    thread.registers.rsp = kStack;
    thread.registers.cs = 0x33;
    thread.registers.ss = 0x2b;
    thread.registers.eflags = 0x202;
    thread.registers.orig_rax = ~0ULL;
    return thread;
  }
  HeldTree held(ResumeProcess process) {
    process.pid = stub_.pid;
    auto tree = hold(waiter_, {process}, area_->range());
    REQUIRE_MESSAGE(tree, tree.error().message());
    return std::move(*tree);
  }
  int status() {
    int status = -1;
    ::waitpid(stub_.pid, &status, 0);
    return status;
  }

  Waiter waiter_;
  RobustList robust_;
  std::optional<Area> area_;
  Stub stub_;
};

// mov $60, %eax; syscall: exit(rdi)
constexpr std::array<unsigned char, 7> kExit = {0xb8, 60, 0, 0, 0, 0x0f, 0x05};
// pause: jmp .
constexpr std::array<unsigned char, 2> kSpin = {0xeb, 0xfe};
// syscall; mov %rax, %rdi; mov $60, %eax; syscall: exit(what the call gives)
constexpr std::array<unsigned char, 12> kCallAndExit = {0x0f, 0x05, 0x48, 0x89, 0xc7, 0xb8,
                                                        60,   0,    0,    0,    0x0f, 0x05};

}  // namespace

TEST_CASE("a process runs with the registers and the mask that it is given, and without the area") {
  Restored restored(kSpin);
  ResumeThread thread = restored.thread(restored.stub_.pid);
  thread.sigmask = 1UL << (SIGUSR1 - 1);
  auto tree = restored.held({.threads = {thread}});
  CHECK(victim::text_of(victim::proc(restored.stub_.pid, "maps")).find("bpfckpt-area") == std::string::npos);
  REQUIRE(tree.release());
  CHECK(victim::status_line(restored.stub_.pid, "SigBlk") == "0000000000000200");
  CHECK(victim::status_line(restored.stub_.pid, "TracerPid") == "0");
  ::kill(restored.stub_.pid, SIGUSR1);
  ::kill(restored.stub_.pid, SIGTERM);
  CHECK(WTERMSIG(restored.status()) == SIGTERM);
}

TEST_CASE("general registers arrive") {
  Restored restored(kExit);
  ResumeThread thread = restored.thread(restored.stub_.pid);
  thread.registers.rdi = 42;
  REQUIRE(restored.held({.threads = {thread}}).release());
  CHECK(WEXITSTATUS(restored.status()) == 42);
}

TEST_CASE("interrupted calls are finished by the kernel") {
  Restored restored(kCallAndExit);
  ResumeThread thread = restored.thread(restored.stub_.pid);
  thread.registers.rip = kCode + 2;  // behind the call
  int expected = 0;
  SUBCASE("made again") {
    thread.registers.orig_rax = SYS_getpriority;
    thread.registers.rax = static_cast<std::uint64_t>(-512);
    thread.registers.rdi = 0;
    thread.registers.rsi = 0;
    expected = 20;  // 20 - nice
  }
  SUBCASE("-ERESTARTNOHAND under a handled signal is -EINTR") {
    // The handler is the code itself: exits with the signal's number, so the call is not made again before.
    thread.registers.orig_rax = SYS_pause;
    thread.registers.rax = static_cast<std::uint64_t>(-514);
    Batch batch(restored.area_->slot(0));
    struct {
      std::uint64_t handler, flags, restorer, mask;
    } action = {kCode + 5, 0x04000000, kCode, 0};
    batch.call(SYS_rt_sigaction, SIGUSR1, *batch.put(action), nullptr, 8);
    PidfdWatch watch(restored.stub_.pidfd.get(), restored.stub_.pid);
    REQUIRE(batch.run(watch));
    ::kill(restored.stub_.pid, SIGUSR1);
    expected = SIGUSR1;
  }
  SUBCASE("poll with what is left of its time") {
    thread.registers.orig_rax = SYS_restart_syscall;
    thread.registers.rax = static_cast<std::uint64_t>(-516);
    thread.registers.rdx = 3'600'000;
    thread.restart = RestartCall{SYS_poll, 50'000'000};
  }
  SUBCASE("nanosleep with what is left of its time") {
    thread.registers.orig_rax = SYS_nanosleep;
    thread.registers.rax = static_cast<std::uint64_t>(-516);
    thread.registers.rdi = kCode + 0x100;  // zero there: would end at once
    thread.restart = RestartCall{SYS_nanosleep, 50'000'000};
  }
  const bool waits = thread.restart.has_value();
  const auto before = std::chrono::steady_clock::now();
  REQUIRE(restored.held({.threads = {thread}}).release());
  const int status = restored.status();
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == expected);
  if (waits) CHECK(std::chrono::steady_clock::now() - before >= 50ms);
  CHECK(std::chrono::steady_clock::now() - before < 20s);
}

TEST_CASE("many threads, left stopped") {
  constexpr std::size_t kThreads = 50;
  std::vector<SlotGeometry> slots(kThreads + 1, kThreadSlot);
  slots[0] = kLeaderSlot;
  Restored restored(kSpin, slots);
  Batch batch(restored.area_->slot(0));
  clone_args thread{};
  thread.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  const auto args = batch.put(thread);
  std::vector<Entry> clones;
  for (std::size_t i = 0; i < kThreads; ++i)
    clones.push_back(batch.clone(*args, sizeof thread, restored.area_->slot(i + 1)));
  PidfdWatch watch(restored.stub_.pidfd.get(), restored.stub_.pid);
  REQUIRE(batch.run(watch));
  ResumeProcess process{.threads = {restored.thread(restored.stub_.pid)}, .stop_signal = SIGSTOP};
  for (const Entry clone : clones)
    process.threads.push_back(restored.thread(static_cast<pid_t>(batch.result(clone))));
  for (auto& t : process.threads) t.sigmask = 0;
  REQUIRE(restored.held(process).release());
  for (const auto& t : process.threads) {
    for (int i = 0; i < 400 && victim::status_line(t.tid, "State")[0] != 'T'; ++i) ::usleep(5000);
    CHECK(victim::status_line(t.tid, "State")[0] == 'T');
    CHECK(victim::status_line(t.tid, "TracerPid") == "0");
  }
}

TEST_CASE("a SIGSTOP that is pending is taken when the process is let go") {
  for (const bool for_thread : {false, true}) {
    CAPTURE(for_thread);
    Restored restored(kSpin);
    ResumeThread thread = restored.thread(restored.stub_.pid);
    thread.stop_pending = for_thread;
    HeldTree tree = restored.held({.threads = {thread}, .stop_pending = !for_thread});
    CHECK(::waitpid(restored.stub_.pid, nullptr, WUNTRACED | WNOHANG) == 0);
    REQUIRE(tree.release());
    int status = 0;
    REQUIRE(::waitpid(restored.stub_.pid, &status, WUNTRACED) == restored.stub_.pid);
    CHECK(WIFSTOPPED(status));
    CHECK(WSTOPSIG(status) == SIGSTOP);
    REQUIRE(::kill(restored.stub_.pid, SIGCONT) == 0);
    victim::until([&] { return victim::status_line(restored.stub_.pid, "State").starts_with("R"); });
  }
}

TEST_CASE("a tree that is not released dies") {
  Restored restored(kSpin);
  {
    auto tree = restored.held({.threads = {restored.thread(restored.stub_.pid)}});
  }
  CHECK(::kill(restored.stub_.pid, 0) == -1);
}

}  // namespace bpfckpt::target
