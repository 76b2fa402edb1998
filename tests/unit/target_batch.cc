// SPDX-License-Identifier: Apache-2.0
// Batches run by the embedded stub: results, references, transfers, failures, children, threads, our death.
#include "target/batch.h"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <filesystem>

#include "target/area.h"
#include "target/stub.h"

namespace bpfckpt::target {
namespace {

constexpr RemoteAddress kBase{0x100000000};

// A stub of its own, killed at the end.
class StubTest {
 public:
  explicit StubTest(std::vector<SlotGeometry> slots = {kLeaderSlot})
      : area_(std::move(*Area::create(robust_, kBase, slots))), stub_(std::move(*start_stub(area_, {}))) {}
  ~StubTest() {
    ::kill(stub_.pid, SIGKILL);
    ::waitpid(stub_.pid, nullptr, 0);
  }

  RobustList robust_;
  Area area_;
  Stub stub_;
  PidfdWatch watch_{stub_.pidfd.get(), stub_.pid};
};

}  // namespace

TEST_CASE("the stub has all signals blocked, no descriptor, and a vDSO") {
  StubTest t;
  CHECK(t.stub_.vdso.value() % 4096 == 0);
  CHECK(t.stub_.vdso.value() != 0);
  CHECK(std::filesystem::is_empty(fmt::format("/proc/{}/fd", t.stub_.pid)));

  Batch batch(t.area_.slot(0));
  const auto mask = batch.reserve(8);
  batch.call(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, *mask, 8);
  REQUIRE(batch.run(t.watch_));
  const std::uint64_t unblockable = 1UL << (SIGKILL - 1) | 1UL << (SIGSTOP - 1);
  CHECK((batch.at<std::uint64_t>(*mask) | unblockable) == ~0UL);
}

TEST_CASE("words are added to, and entries repeated") {
  StubTest t;
  Batch batch(t.area_.slot(0));
  const auto words = *batch.reserve(8);
  batch.call(SYS_getpid);
  const Entry first = batch.add(words, 3);
  const Entry second = batch.add(words + 4, -1);
  const Entry turns = batch.repeat(2, 1000);
  const Entry after = batch.add(words, 0);
  batch.expect(after, 3000);
  const Entry once = batch.add(words + 4, 1);
  batch.repeat(1, 1);
  REQUIRE(batch.run(t.watch_));
  CHECK(batch.result(first) == 3000);
  CHECK(batch.result(second) == UINT32_MAX - 999);
  CHECK(batch.result(turns) == 1000);
  CHECK(batch.result(once) == UINT32_MAX - 998);
  batch.clear();

  // A failure in a later turn ends the batch and is named.
  const auto word = *batch.reserve(4);
  const Entry counted = batch.add(word, 1);
  batch.expect(counted, 1);
  batch.repeat(1, 5);
  REQUIRE_FALSE(batch.run(t.watch_));
  REQUIRE(batch.failed());
  CHECK(batch.failed()->index == counted.index);
  CHECK(batch.result(counted) == 2);
}

TEST_CASE("everything but the area can be unmapped") {
  StubTest t;
  Batch batch(t.area_.slot(0));
  batch.call(SYS_munmap, 0, t.area_.range().start);
  batch.call(SYS_munmap, t.area_.range().end, 0x7ffffffff000 - t.area_.range().end.value());
  const Entry pid = batch.call(SYS_getpid);
  REQUIRE(batch.run(t.watch_));
  CHECK(batch.result(pid) == t.stub_.pid);
}

TEST_CASE("results are arguments of later entries") {
  StubTest t;
  Batch batch(t.area_.slot(0));
  const auto name = batch.put_string("ref");
  const auto text = batch.put_string("hello");
  const auto back = batch.reserve(8);
  const auto pair = batch.reserve(8);
  const Entry file = batch.call(SYS_memfd_create, *name, 0);
  const Entry wrote = batch.call(SYS_write, file, *text, 5);
  batch.call(SYS_pread64, file, *back, wrote, 0);
  batch.call(SYS_close, Ref{file, 0});
  batch.call(SYS_pipe2, *pair, 0);
  batch.call(SYS_write, IntAt{*pair + 4}, *text, 5);
  const Entry read = batch.call(SYS_read, IntAt{*pair}, *back, 2);
  const Entry beyond = batch.call(SYS_lseek, Ref{wrote, 95}, 0, SEEK_CUR);  // 5 + 95: no descriptor
  batch.ignore(beyond);
  REQUIRE(batch.run(t.watch_));
  CHECK(std::string_view(&batch.at<char>(*back), 5) == "hello");
  CHECK(batch.result(read) == 2);
  CHECK(batch.result(beyond) == -EBADF);
}

TEST_CASE("a failure ends the batch and is named") {
  StubTest t;
  Batch batch(t.area_.slot(0));
  const auto path = batch.put_string("/nonexistent");
  batch.call(SYS_getpid);
  const Entry open = batch.call(SYS_openat, AT_FDCWD, *path, O_RDONLY, 0);
  const auto name = batch.put_string("never");
  batch.call(SYS_memfd_create, *name, 0);
  const auto result = batch.run(t.watch_);
  REQUIRE(!result);
  CHECK(result.error().err() == ENOENT);
  CHECK(result.error().message().starts_with("openat(-100, 0x1000"));
  REQUIRE(batch.failed());
  CHECK(batch.failed()->index == open.index);
  CHECK(std::filesystem::is_empty(fmt::format("/proc/{}/fd", t.stub_.pid)));

  batch.clear();
  const Entry pid = batch.call(SYS_getpid);
  REQUIRE(batch.run(t.watch_));
  CHECK(batch.result(pid) == t.stub_.pid);
}

TEST_CASE("an unexpected result ends the batch") {
  StubTest t;
  Batch batch(t.area_.slot(0));
  const Entry at =
      batch.call(SYS_mmap, 0x200000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  batch.expect(at, 0x200000000);
  const Entry again = batch.call(SYS_mmap, 0x200000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  batch.expect(again, 0x200000000);
  const auto result = batch.run(t.watch_);
  REQUIRE(!result);
  CHECK(batch.failed()->index == again.index);
}

TEST_CASE("a transfer is repeated until it is complete") {
  StubTest t;
  constexpr std::size_t kSize = 300'000;  // more than a pipe holds
  Batch batch(t.area_.slot(0));
  const auto pair = batch.reserve(8);
  batch.call(SYS_pipe2, *pair, 0);
  REQUIRE(batch.run(t.watch_));
  const int read_end =
      static_cast<int>(::syscall(SYS_pidfd_getfd, t.stub_.pidfd.get(), batch.at<int>(*pair), 0));
  REQUIRE(read_end >= 0);
  batch.clear();
  const Entry memory =
      batch.call(SYS_mmap, 0, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  batch.complete(batch.call(SYS_write, 1, memory, kSize));
  REQUIRE(batch.submit());
  std::vector<char> buffer(kSize);
  std::size_t got = 0;
  while (got < kSize) got += static_cast<std::size_t>(::read(read_end, buffer.data(), buffer.size()));
  REQUIRE(batch.wait(t.watch_));
  CHECK(got == kSize);
  ::close(read_end);

  // The end of a file is a failure.
  batch.clear();
  const auto name = batch.put_string("short");
  const Entry file = batch.call(SYS_memfd_create, *name, 0);
  batch.call(SYS_ftruncate, file, 100);
  batch.complete(batch.call(SYS_pread64, file, batch.slot().data_address + 1000, 200, 0));
  const auto result = batch.run(t.watch_);
  REQUIRE(!result);
  CHECK(result.error().message().find("ends after 100 bytes") != std::string::npos);
}

TEST_CASE("a full slot says so") {
  StubTest t({SlotGeometry{4, 64}});
  Batch batch(t.area_.slot(0));
  CHECK(batch.room_for(4, 64));
  CHECK(!batch.room_for(5));
  CHECK(batch.reserve(64));
  CHECK(!batch.reserve(1));
  for (int i = 0; i < 4; ++i) batch.call(SYS_getpid);
  CHECK(!batch.room_for(1));
  batch.call(SYS_getpid);
  CHECK(!batch.submit());
}

TEST_CASE("children and threads go on in slots of their own") {
  StubTest t({kLeaderSlot, kLeaderSlot, kThreadSlot});
  Batch batch(t.area_.slot(0));
  clone_args process{};
  process.exit_signal = SIGCHLD;
  clone_args thread{};
  thread.flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;
  const Entry child = batch.clone(*batch.put(process), sizeof process, t.area_.slot(1));
  const Entry sibling = batch.clone(*batch.put(thread), sizeof thread, t.area_.slot(2));
  REQUIRE(batch.run(t.watch_));
  const auto child_pid = static_cast<pid_t>(batch.result(child));

  Batch in_child(t.area_.slot(1));
  const Entry parent = in_child.call(SYS_getppid);
  const Entry pid = in_child.call(SYS_getpid);
  Batch in_thread(t.area_.slot(2));
  const Entry group = in_thread.call(SYS_getpid);
  const Entry tid = in_thread.call(SYS_gettid);
  REQUIRE(in_child.submit());
  REQUIRE(in_thread.submit());
  REQUIRE(in_child.wait(t.watch_));
  REQUIRE(in_thread.wait(t.watch_));
  CHECK(in_child.result(parent) == t.stub_.pid);
  CHECK(in_child.result(pid) == child_pid);
  CHECK(in_thread.result(group) == t.stub_.pid);
  CHECK(in_thread.result(tid) == batch.result(sibling));
  ::kill(child_pid, SIGKILL);
}

TEST_CASE("a killed target is noticed, with the call it was in") {
  StubTest t;
  Batch batch(t.area_.slot(0));
  const auto never = batch.reserve(4);
  batch.call(SYS_futex, *never, FUTEX_WAIT, 0, nullptr, nullptr, 0);
  REQUIRE(batch.submit());
  ::kill(t.stub_.pid, SIGKILL);
  const auto result = batch.wait(t.watch_);
  REQUIRE(!result);
  CHECK(result.error().code() == Error::Code::TargetGone);
}

TEST_CASE("a pid that is taken is a conflict") {
  RobustList robust;
  const SlotGeometry slots[] = {kLeaderSlot};
  auto area = Area::create(robust, kBase, slots);
  REQUIRE(area);
  const pid_t taken[] = {::getpid()};
  const auto stub = start_stub(*area, {.set_tid = taken});
  REQUIRE(!stub);
  CHECK(stub.error().code() == Error::Code::Conflict);
}

TEST_CASE("half-made processes go when their master dies") {
  int report[2];
  REQUIRE(::pipe(report) == 0);
  const pid_t master = ::fork();
  if (master == 0) {
    StubTest t({kLeaderSlot, kLeaderSlot});
    Batch batch(t.area_.slot(0));
    clone_args process{};
    process.exit_signal = SIGCHLD;
    const Entry child = batch.clone(*batch.put(process), sizeof process, t.area_.slot(1));
    if (!batch.run(t.watch_)) ::_exit(1);
    const pid_t pids[2] = {t.stub_.pid, static_cast<pid_t>(batch.result(child))};
    if (::write(report[1], pids, sizeof pids) != sizeof pids) ::_exit(1);
    ::raise(SIGKILL);
  }
  pid_t pids[2];
  REQUIRE(::read(report[0], pids, sizeof pids) == sizeof pids);
  ::waitpid(master, nullptr, 0);
  for (const pid_t pid : pids) {
    bool gone = false;
    for (int i = 0; i < 200 && !gone; ++i) {
      // A zombie that its new parent has not reaped yet has no memory any more.
      gone = ::kill(pid, 0) != 0 || ::access(fmt::format("/proc/{}/exe", pid).c_str(), R_OK) != 0;
      if (!gone) ::usleep(10'000);
    }
    CHECK(gone);
  }
  ::close(report[0]);
  ::close(report[1]);
}

}  // namespace bpfckpt::target
