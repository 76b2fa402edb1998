// SPDX-License-Identifier: Apache-2.0
// Processes that check themselves are taken over, used and cured again and again by masters that are killed
// at random moments. Nobody dies, nothing is lost, nothing is left in them. ctest-timeout: 900
#include <doctest/doctest.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/syscall.h>

#include <array>
#include <chrono>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

#include "harness/rounds.h"
#include "harness/victim.h"
#include "target/injected_parasite.h"

namespace bpfckpt::target {
namespace {

using namespace std::chrono_literals;
using victim::proc;

const unsigned kRounds = rounds("KILL_ROUNDS", 200);

// What a victim says of itself, in memory that it shares with the test.
struct Report {
  std::atomic<long> beats{0};
  std::atomic<long> interruptions{0};  // a call that said EINTR
  std::atomic<int> wrong{0};           // line of the check that failed
};
#define RIGHT(condition) \
  if (!(condition)) report.wrong = __LINE__

using Beat = void (*)(Report& report);

std::int64_t now_ns() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

void sleeps(Report& report) {
  const timespec time{.tv_sec = 0, .tv_nsec = 2'000'000};
  const std::int64_t before = now_ns();
  RIGHT(::nanosleep(&time, nullptr) == 0);
  RIGHT(now_ns() - before >= 2'000'000);
}

void polls(Report& report) {
  const std::int64_t before = now_ns();
  RIGHT(::poll(nullptr, 0, 3) == 0);
  RIGHT(now_ns() - before >= 3'000'000);
}

void waits_for_a_futex(Report& report) {
  const timespec time{.tv_sec = 0, .tv_nsec = 2'000'000};
  std::uint32_t word = 0;
  const std::int64_t before = now_ns();
  RIGHT(::syscall(SYS_futex, &word, FUTEX_WAIT, 0, &time, nullptr, 0) == -1 && errno == ETIMEDOUT);
  RIGHT(now_ns() - before >= 2'000'000);
}

void waits_for_events(Report& report) {
  static const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  epoll_event event;
  const int result = ::epoll_wait(epoll, &event, 1, 2);
  // epoll_wait() says EINTR to a thread whose tracer came and died at once; nobody is there any more to hide
  // it.
  if (result == -1 && errno == EINTR)
    ++report.interruptions;
  else
    RIGHT(result == 0);
}

void computes(Report& report) {
  double sum = 0;
  std::uint64_t hash = 1469598103934665603U;
  for (int i = 1; i < 20'000; ++i) {
    sum += std::sqrt(static_cast<double>(i)) * 1e-3;
    hash = (hash ^ static_cast<std::uint64_t>(i)) * 1099511628211U;
  }
  static const double first_sum = sum;
  static const std::uint64_t first_hash = hash;
  RIGHT(std::memcmp(&sum, &first_sum, sizeof sum) == 0);
  RIGHT(hash == first_hash);
}

// The red zone belongs to the program, flags and all registers, too.
void uses_the_red_zone(Report& report) {
  std::uint64_t wrong = 0;
  asm volatile(
      "mov $100000, %%rcx\n"
      "1: mov %%rcx, -8(%%rsp)\n"
      "mov %%rcx, -128(%%rsp)\n"
      "movq %%rcx, %%xmm15\n"
      "mov %%rcx, %%r15\n"
      "nop\n nop\n nop\n nop\n"
      "cmp -8(%%rsp), %%rcx\n jne 2f\n"
      "cmp -128(%%rsp), %%rcx\n jne 2f\n"
      "movq %%xmm15, %%rdx\n"
      "cmp %%rdx, %%rcx\n jne 2f\n"
      "cmp %%r15, %%rcx\n jne 2f\n"
      "dec %%rcx\n jnz 1b\n"
      "jmp 3f\n"
      "2: mov $1, %0\n"
      "3:\n"
      : "+r"(wrong)
      :
      : "rcx", "rdx", "r15", "xmm15", "memory", "cc");
  RIGHT(wrong == 0);
}

struct Kind {
  const char* name;
  Beat beat;
  // What BPF finds in its restart_block when a second interruption left restart_syscall() in its place.
  std::optional<RestartCall> restart;
};
const std::array kKinds = {
    Kind{"sleeps", sleeps, RestartCall{SYS_clock_nanosleep, {}}},
    Kind{"polls", polls, RestartCall{SYS_poll, {}}},
    Kind{"waits for a futex", waits_for_a_futex, RestartCall{SYS_futex, {}}},
    Kind{"waits for events", waits_for_events, {}},
    Kind{"computes", computes, {}},
    Kind{"uses the red zone", uses_the_red_zone, {}},
};

class Victim {
 public:
  explicit Victim(const Kind& kind)
      : kind_(kind), process_([this] {
          for (;;) {
            kind_.beat(*report_);
            sigset_t mask;
            ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
            Report& report = *report_;
            RIGHT(sigisemptyset(&mask));
            ++report.beats;
          }
          return 0;
        }) {
    while (report_->beats < 2) std::this_thread::sleep_for(1ms);
    before_ = snapshot();
  }

  pid_t pid() const { return process_.pid(); }

  // Empty: it goes on, whole. Tried for a while: a gate waits for a second before it goes home, on a busy
  // machine longer.
  std::string check() const {
    std::string complaint;
    for (int i = 0; i < 6000; ++i) {
      complaint = complaint_now();
      if (complaint.empty() || complaint.starts_with("!")) break;
      std::this_thread::sleep_for(10ms);
    }
    return complaint;
  }
  long interruptions() const { return report_->interruptions; }
  const std::optional<RestartCall>& restart() const { return kind_.restart; }
  RemoteRange vdso() const { return vdso_; }

 private:
  std::string snapshot() {
    vdso_ = victim::vdso_of(pid());
    return state();
  }
  std::string state() const {
    std::string text = victim::text_of(proc(pid(), "maps"));
    for (const pid_t fd : victim::numbers_in(proc(pid(), "fd"))) text += "fd " + std::to_string(fd) + "\n";
    for (const char* line : {"SigBlk", "SigCgt", "SigPnd", "ShdPnd", "TracerPid"})
      text += line + victim::status_line(pid(), line) + "\n";
    return text;
  }
  std::string complaint_now() const {
    if (report_->wrong != 0)
      return fmt::format("! {}: check of line {} failed", kind_.name, report_->wrong.load());
    const std::string run = victim::status_line(pid(), "State");
    if (run.empty() || run[0] == 'Z') return fmt::format("! {}: died", kind_.name);
    const long beats = report_->beats;
    for (int i = 0; i < 20 && report_->beats == beats; ++i) std::this_thread::sleep_for(1ms);
    if (report_->beats == beats) return fmt::format("{}: does not go on, is {}", kind_.name, run);
    if (const std::string now = state(); now != before_)
      return fmt::format("{}: changed from\n{}to\n{}", kind_.name, before_, now);
    return "";
  }

  const Kind& kind_;
  victim::Shared<Report> report_;
  victim::Process process_;
  RemoteRange vdso_;
  std::string before_;
};

using Victims = std::vector<std::unique_ptr<Victim>>;

// Takes all victims at a time, asks them a few questions, cures them.
Result<void> take_and_cure(Waiter& waiter, RobustList& robust, const Victims& victims) {
  std::vector<SeizedTask> tasks;
  tasks.reserve(victims.size());
  for (const auto& victim : victims) {
    TRY_ASSIGN(SeizedTask task, SeizedTask::seize(waiter, victim->pid()));
    TRY(task.interrupt());
    tasks.push_back(std::move(task));
  }
  std::vector<InjectedParasite> parasites;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    TRY(tasks[i].stop(within(10s)));
    TRY_ASSIGN(const ThreadState state, tasks[i].state(true));
    // Still on its way home from the last master.
    auto home =
        InjectedParasite::check_home(tasks[i], state.registers, victims[i]->pid(), victims[i]->vdso());
    if (!home && home.error().code() == Error::Code::Conflict) continue;
    if (!home) return home;
    auto parasite = InjectedParasite::begin(
        tasks[i], robust, state,
        {.pid = victims[i]->pid(), .vdso = victims[i]->vdso(), .restart = victims[i]->restart()});
    if (!parasite) return fail(std::move(parasite.error()));
    parasites.push_back(std::move(*parasite));
  }
  for (auto& parasite : parasites) TRY(parasite.place());
  for (auto& parasite : parasites) {
    Batch batch = parasite.batch();
    for (int signal = 1; signal <= 64; ++signal)
      batch.call(SYS_rt_sigaction, signal, nullptr, *batch.reserve(32), 8);
    const auto pair = batch.put(std::array{-1, -1});
    batch.own_ints(batch.call(SYS_pipe2, *pair, 0), *pair);
    batch.disown(batch.call(SYS_close, IntAt{*pair}));
    batch.disown(batch.call(SYS_close, IntAt{*pair + 4}));
    TRY(batch.submit());
  }
  for (auto& parasite : parasites) {
    auto watch = parasite.watch();
    TRY(parasite.batch().wait(watch));
    TRY(parasite.begin_cure());
  }
  for (auto& parasite : parasites) TRY(parasite.cure());
  return {};
}

struct Cycles {
  std::atomic<long> done{0};
};

[[noreturn]] void be_master(const Victims& victims, Cycles& cycles) {
  Waiter waiter;
  RobustList robust;
  for (;;) {
    auto done = take_and_cure(waiter, robust, victims);
    // On a machine that is too busy a target may go home by itself before its master gets back to it.
    if (!done && done.error().code() == Error::Code::Conflict) continue;
    if (!done) {
      std::fprintf(stderr, "%s\n", done.error().message().c_str());
      ::_exit(1);
    }
    ++cycles.done;
  }
}

}  // namespace

TEST_CASE("targets survive masters that are killed at any moment") {
  Victims victims;
  for (const Kind& kind : kKinds) victims.push_back(std::make_unique<Victim>(kind));
  victim::Shared<Cycles> cycles;
  std::mt19937 random(7);
  auto start_master = [&] {
    const pid_t master = ::fork();
    if (master == 0) be_master(victims, *cycles);
    return master;
  };
  auto end_master = [&](pid_t master) {
    ::kill(master, SIGKILL);
    int status = 0;
    ::waitpid(master, &status, 0);
    REQUIRE_MESSAGE(WIFSIGNALED(status), "the master failed by itself");
  };
  // Empty if the master ended by itself.
  auto time_of_a_cycle = [&](pid_t master) -> std::optional<std::chrono::microseconds> {
    const auto begin = std::chrono::steady_clock::now();
    const long before = cycles->done;
    while (cycles->done == before) {
      std::this_thread::sleep_for(1ms);
      siginfo_t ended{};
      ::waitid(P_PID, static_cast<id_t>(master), &ended, WEXITED | WNOHANG | WNOWAIT);
      if (ended.si_pid != 0) return {};
    }
    return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now() - begin);
  };
  std::chrono::microseconds cycle{};
  for (unsigned round = 0; round < kRounds; ++round) {
    CAPTURE(round);
    const pid_t master = start_master();
    // Kills are to hit all of a cycle. How long is one here and now? The machine's load comes and goes.
    if (round % 8 == 0) cycle = time_of_a_cycle(master).value_or(cycle);
    std::this_thread::sleep_for(std::chrono::microseconds(200 + random() % (2 * cycle.count() + 1)));
    end_master(master);
    for (const auto& victim : victims) {
      const std::string complaint = victim->check();
      REQUIRE_MESSAGE(complaint.empty(), complaint);
    }
  }
  long interruptions = 0;
  for (const auto& victim : victims) interruptions += victim->interruptions();
  CHECK(interruptions <= kRounds);
  MESSAGE(fmt::format("{} whole cycles, {} interrupted calls seen", cycles->done.load(), interruptions));
}

}  // namespace bpfckpt::target
