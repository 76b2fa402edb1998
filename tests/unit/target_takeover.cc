// SPDX-License-Identifier: Apache-2.0
// Freezing trees and taking processes over: they go on as if nothing had happened.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <sys/syscall.h>

#include <chrono>
#include <thread>

#include "harness/stopped.h"
#include "target/freeze.h"
#include "target/injected_parasite.h"
#include "target/memory.h"

namespace bpfckpt::target {
namespace {

using namespace std::chrono_literals;
using victim::cure;
using victim::patient;
using victim::proc;
using victim::Process;
using victim::Shared;
using victim::snapshot;
using victim::status_line;
using victim::Stopped;
using victim::take;
using victim::until;

// Takes a process over in the middle of a call, runs a batch, lets it go.
void visit(pid_t pid, Injection injection = {}) {
  Stopped stopped(pid);
  auto parasite = stopped.take(patient(injection));
  Batch batch = parasite.batch();
  const Entry id = batch.call(SYS_getpid);
  auto watch = parasite.watch();
  REQUIRE(batch.run(watch));
  CHECK(batch.result(id) == pid);
  cure(parasite);
}

std::int64_t elapsed_ms(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - start)
      .count();
}

// A call that was interrupted by a visit ends as it should: `body` returns 0, after 500 ms at least.
void check_call(const std::function<int()>& body) {
  Shared<std::atomic<int>> ready;
  Process process([&] {
    *ready = 1;
    int result = 0;
    const auto took = elapsed_ms([&] { result = body(); });
    if (result != 0) return 1;
    return took >= 499 && took < 3000 ? 0 : 2;
  });
  until([&] { return *ready == 1; });
  std::this_thread::sleep_for(100ms);
  visit(process.pid());
  CHECK(process.join() == 0);
}

}  // namespace

TEST_CASE("a cured process is as it was") {
  Process process([] {
    for (;;) ::pause();
    return 0;
  });
  until([&] { return status_line(process.pid(), "State")[0] == 'S'; });
  const std::string before = snapshot(process.pid());
  for (int i = 0; i < 3; ++i) visit(process.pid());
  until([&] { return status_line(process.pid(), "State")[0] == 'S'; });
  CHECK(snapshot(process.pid()) == before);
}

TEST_CASE("interrupted calls go on") {
  SUBCASE("nanosleep") {
    check_call([] {
      const timespec half{.tv_sec = 0, .tv_nsec = 500'000'000};
      return ::nanosleep(&half, nullptr);
    });
  }
  SUBCASE("poll") {
    check_call([] { return ::poll(nullptr, 0, 500); });
  }
  SUBCASE("futex") {
    check_call([] {
      std::uint32_t word = 0;
      const timespec half{.tv_sec = 0, .tv_nsec = 500'000'000};
      const long result = ::syscall(SYS_futex, &word, FUTEX_WAIT, 0, &half, nullptr, 0);
      return result == -1 && errno == ETIMEDOUT ? 0 : 1;
    });
  }
  SUBCASE("epoll_wait") {
    check_call([] {
      epoll_event event;
      return ::epoll_wait(::epoll_create1(0), &event, 1, 500);
    });
  }
  SUBCASE("read") {
    check_call([] {
      int ends[2];
      if (::pipe(ends) != 0) return 1;
      std::thread writer([&] {
        std::this_thread::sleep_for(510ms);
        if (::write(ends[1], "x", 1) != 1) ::_exit(9);
      });
      char byte;
      const bool good = ::read(ends[0], &byte, 1) == 1;
      writer.join();
      return good ? 0 : 1;
    });
  }
}

TEST_CASE("the target writes its own memory into a file of ours") {
  Shared<std::atomic<const char*>> text;
  Process process([&] {
    static const char kText[] = "from the target's own memory";
    *text = kText;
    for (;;) ::pause();
    return 0;
  });
  until([&] { return *text != nullptr; });
  const std::string before = snapshot(process.pid());
  const Fd file(::memfd_create("image", MFD_CLOEXEC));
  {
    Stopped stopped(process.pid());
    auto parasite = stopped.take();
    const auto fd = parasite.receive_fd(file.get());
    REQUIRE_MESSAGE(fd, fd.error().message());
    Batch batch = parasite.batch();
    batch.complete(batch.call(SYS_pwrite64, *fd, RemoteAddress(reinterpret_cast<std::uint64_t>(text->load())),
                              28, 4096));
    auto watch = parasite.watch();
    REQUIRE(batch.run(watch));
    REQUIRE(parasite.drop_fd(*fd));
    cure(parasite);
  }
  char bytes[29] = {};
  REQUIRE(::pread(file.get(), bytes, 28, 4096) == 28);
  CHECK(std::string(bytes) == "from the target's own memory");
  until([&] { return snapshot(process.pid()) == before; });
}

TEST_CASE("a target that cannot take a descriptor says why and stays whole") {
  rlimit limit{};
  int expected = 0;
  SUBCASE("file size limit") {
    expected = RLIMIT_FSIZE;
  }
  SUBCASE("full table") {
    expected = RLIMIT_NOFILE;
  }
  Process process([&] {
    ::getrlimit(static_cast<__rlimit_resource>(expected), &limit);
    limit.rlim_cur = expected == RLIMIT_FSIZE ? 1 << 20 : static_cast<rlim_t>(::dup(0)) + 3;
    ::setrlimit(static_cast<__rlimit_resource>(expected), &limit);
    for (;;) ::pause();
    return 0;
  });
  until([&] { return status_line(process.pid(), "State")[0] == 'S'; });
  const std::string before = snapshot(process.pid());
  const Fd file(::memfd_create("image", MFD_CLOEXEC));
  {
    Stopped stopped(process.pid());
    auto parasite = stopped.take();
    const auto fd = parasite.receive_fd(file.get());
    REQUIRE(!fd);
    if (expected == RLIMIT_FSIZE)
      CHECK(fd.error().code() == Error::Code::Unsupported);
    else
      CHECK(fd.error().err() == EMFILE);
    cure(parasite);
  }
  until([&] { return snapshot(process.pid()) == before; });
}

TEST_CASE("a dropped parasite cures, even out of a call that does not end") {
  Process process([] {
    for (;;) ::pause();
    return 0;
  });
  until([&] { return status_line(process.pid(), "State")[0] == 'S'; });
  const std::string before = snapshot(process.pid());
  {
    Stopped stopped(process.pid());
    auto parasite = stopped.take();
    Batch batch = parasite.batch();
    const auto pair = batch.reserve(8);
    batch.own_ints(batch.call(SYS_pipe2, *pair, 0), *pair);
    batch.call(SYS_read, IntAt{*pair}, *pair, 1);
    REQUIRE(batch.submit());
    auto watch = parasite.watch();
    const auto result = batch.wait(watch, 300ms);
    REQUIRE(!result);
    CHECK(result.error().err() == ETIMEDOUT);
  }
  until([&] { return snapshot(process.pid()) == before; });
}

TEST_CASE("what has no mapping to spare is refused and stays whole") {
  Process process([] {
    rlimit none{.rlim_cur = 1, .rlim_max = 1};
    ::setrlimit(RLIMIT_AS, &none);
    for (;;) ::pause();
    return 0;
  });
  until([&] { return status_line(process.pid(), "State")[0] == 'S'; });
  const std::string before = snapshot(process.pid());
  {
    Stopped stopped(process.pid());
    auto parasite = stopped.send(patient());
    const auto placed = parasite.place();
    REQUIRE(!placed);
    CHECK(placed.error().err() == ENOMEM);
  }
  until([&] { return snapshot(process.pid()) == before; });
}

TEST_CASE("freeze tells group-stopped tasks and leaves them so") {
  Process process([] {
    ::raise(SIGSTOP);
    return 7;
  });
  until([&] { return status_line(process.pid(), "State")[0] == 'T'; });
  {
    Waiter waiter;
    auto tree = freeze(waiter, victim::tree_reader(process.pid()));
    REQUIRE(tree);
    CHECK(tree->find(process.pid())->group_stop_signal() == SIGSTOP);
    RobustList robust;
    auto parasite = take(*tree->find(process.pid()), robust);
    Batch batch = parasite.batch();
    batch.call(SYS_getpid);
    auto watch = parasite.watch();
    REQUIRE(batch.run(watch));
    cure(parasite);
  }
  until([&] { return status_line(process.pid(), "State")[0] == 'T'; });
  ::kill(process.pid(), SIGCONT);
  CHECK(WEXITSTATUS(process.join()) == 7);
}

TEST_CASE("no signal is lost in freezing") {
  struct Counts {
    std::atomic<int> got{0};
    std::atomic<int> ready{0};
  };
  Shared<Counts> counts;
  static Counts* global;
  global = &*counts;
  Process process([&] {
    struct sigaction action{};
    action.sa_handler = [](int) { ++global->got; };
    ::sigaction(SIGUSR1, &action, nullptr);
    counts->ready = 1;
    for (;;) ::pause();
    return 0;
  });
  until([&] { return counts->ready == 1; });
  for (int i = 1; i <= 300; ++i) {
    std::thread sender([&] { ::kill(process.pid(), SIGUSR1); });
    {
      Waiter waiter;
      auto task = SeizedTask::seize(waiter, process.pid());
      REQUIRE(task);
      REQUIRE(task->stop(within(5s)));
    }
    sender.join();
    until([&] { return counts->got == i; });
  }
}

// A critical section that ends only by being aborted: without the parasite's care the thread would be put
// back into it with rseq_cs cleared, and stay there.
TEST_CASE("a thread inside of an rseq critical section is sent to its abort handler") {
  struct Counts {
    std::atomic<int> entered{0};
    std::atomic<int> aborted{0};
  };
  Shared<Counts> counts;
  Process process([&] {
    for (;;) {
      ++counts->entered;
      // The handler is preceded by the signature that glibc registered (RSEQ_SIG).
      asm volatile(
          ".pushsection __rseq_cs, \"aw\"\n"
          ".balign 32\n"
          "9: .long 0, 0\n"
          ".quad 1f, 2f - 1f, 4f\n"
          ".popsection\n"
          "lea 9b(%%rip), %%rax\n"
          "mov %%rax, %%fs:8(%[rseq])\n"
          "1: nop\n jmp 1b\n"
          "2: nop\n jmp 5f\n"
          ".byte 0x0f, 0xb9, 0x3d\n"
          ".long 0x53053053\n"
          "4: nop\n"
          "5:\n"
          :
          : [rseq] "r"(static_cast<std::uint64_t>(__rseq_offset))
          : "rax", "memory");
      ++counts->aborted;
      ::usleep(1000);
    }
    return 0;
  });
  until([&] { return counts->aborted >= 1; });  // preempted, once at least
  for (int i = 0; i < 50; ++i) {
    visit(process.pid());
    const int aborted = counts->aborted;
    until([&] { return counts->aborted > aborted; });
  }
}

TEST_CASE("pending signals are seen with their siginfo") {
  Process process([] {
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, nullptr);
    sigval value{};
    value.sival_int = 11;
    ::sigqueue(::getpid(), SIGRTMIN, value);
    value.sival_int = 12;
    ::sigqueue(::getpid(), SIGRTMIN, value);
    ::syscall(SYS_tgkill, ::getpid(), ::gettid(), SIGUSR2);
    for (;;) ::pause();
    return 0;
  });
  until([&] { return status_line(process.pid(), "SigPnd").find_first_not_of('0') != std::string::npos; });
  Waiter waiter;
  auto task = SeizedTask::seize(waiter, process.pid());
  REQUIRE(task->stop(within(5s)));
  const auto state = task->state(true);
  REQUIRE(state);
  REQUIRE(state->pending.size() == 1);
  CHECK(state->pending[0].si_signo == SIGUSR2);
  CHECK(state->pending[0].si_pid == process.pid());
  REQUIRE(state->shared_pending.size() == 2);
  CHECK(state->shared_pending[0].si_value.sival_int == 11);
  CHECK(state->shared_pending[1].si_value.sival_int == 12);
  CHECK((state->sigmask & 1UL << (SIGUSR2 - 1)) != 0);
  CHECK(state->rseq.address != 0);
}

}  // namespace bpfckpt::target
