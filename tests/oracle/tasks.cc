// SPDX-License-Identifier: Apache-2.0
// Processes and threads against /proc/PID/{status,stat,auxv,cgroup,...} and what the target set itself.
#include <linux/auxvec.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <grp.h>
#include <pthread.h>
#include <sched.h>

#include <cstring>
#include <ctime>
#include <thread>

#include "model/details.h"
#include "oracle/target.h"

using namespace oracle;

namespace {

const bpfckpt::pb::Process& root_of(const bpfckpt::Model& model) {
  return model.tasks.processes(0);
}

const bpfckpt::pb::Credentials& credentials_of(const bpfckpt::Model& model,
                                               const bpfckpt::pb::Thread& thread) {
  const auto* found = bpfckpt::ModelIndex(model).credentials(thread.credentials_id());
  REQUIRE(found != nullptr);
  return *found;
}

}  // namespace

TEST_CASE("a process, as status and stat show it") {
  Target target([] {
    ::setsid();
    ::prctl(PR_SET_NAME, "known (\\) name");
    ::umask(0137);
    ::chdir("/usr");
    ::nice(5);
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, SIGUSR1);
    ::sigaddset(&blocked, SIGRTMAX);
    ::sigprocmask(SIG_SETMASK, &blocked, nullptr);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    ::prctl(PR_SET_TIMERSLACK, 123456);
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
    ::prctl(PR_SET_DUMPABLE, 0);
    ::prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
    gid_t groups[] = {7, 9, 11};
    ::setgroups(3, groups);
    ::setresgid(1, 2, 3);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // a change of credentials clears it
    rlimit limit = {321, 654};
    ::setrlimit(RLIMIT_NOFILE, &limit);
    itimerval timer = {{5, 0}, {1000, 0}};
    ::setitimer(ITIMER_REAL, &timer, nullptr);
    ::setitimer(ITIMER_PROF, &timer, nullptr);
  });
  const auto model = model_of(target.pid());
  const auto& process = root_of(model);
  const auto& leader = process.threads(0);
  const auto& credentials = credentials_of(model, leader);
  auto status = target.fields("status");
  CHECK(process.pid() == static_cast<std::uint32_t>(target.pid()));
  CHECK(process.sid() == process.pid());
  CHECK(process.pgid() == process.pid());
  CHECK(process.exit_signal() == SIGCHLD);
  CHECK(bpfckpt::from_printable(leader.comm()) == "known (\\) name");
  CHECK(leader.blocked() == hex(status["SigBlk"]));
  CHECK(leader.no_new_privs());
  CHECK(leader.timer_slack_ns() == 123456);
  CHECK(leader.pdeath_signal() == SIGTERM);
  CHECK(leader.scheduling().nice() == 5);
  CHECK(leader.personality() == std::stoul(target.read("personality"), nullptr, 16));
  cpu_set_t cpus;
  REQUIRE(::sched_getaffinity(target.pid(), sizeof cpus, &cpus) == 0);
  REQUIRE(leader.scheduling().affinity().size() <= sizeof cpus);
  CHECK(std::memcmp(leader.scheduling().affinity().data(), &cpus, leader.scheduling().affinity().size()) ==
        0);
  CHECK(process.child_subreaper());
  CHECK(credentials.cap_effective() == hex(status["CapEff"]));
  CHECK(credentials.cap_permitted() == hex(status["CapPrm"]));
  CHECK(credentials.cap_bounding() == hex(status["CapBnd"]));
  CHECK(credentials.rgid() == 1);
  CHECK(credentials.egid() == 2);
  CHECK(credentials.sgid() == 3);
  CHECK(std::vector<int>(credentials.groups().begin(), credentials.groups().end()) ==
        std::vector<int>{7, 9, 11});
  CHECK(process.rlimits(RLIMIT_NOFILE).soft() == 321);
  CHECK(process.rlimits(RLIMIT_NOFILE).hard() == 654);
  CHECK(process.oom_score_adj() == std::stoi(target.read("oom_score_adj")));
  CHECK(process.itimer_real().interval_ns() == 5'000'000'000);
  CHECK(process.itimer_real().value_ns() > 900'000'000'000);
  CHECK(process.itimer_real().value_ns() <= 1'000'000'000'000);
  CHECK(process.itimer_prof().value_ns() > 900'000'000'000);
  CHECK(process.itimer_prof().value_ns() <= 1'001'000'000'000);
  CHECK(process.itimer_virtual().value_ns() == 0);
  std::string cgroup;
  for (const std::string& line : target.lines("cgroup"))
    if (line.starts_with("0::")) cgroup = line.substr(3);
  CHECK(process.cgroup() == cgroup);

  const auto& fs = model.tasks.fs_contexts(0);
  CHECK(fs.umask() == 0137);
  CHECK(fs.cwd().path() == target.link("cwd"));
  CHECK(fs.root().path() == target.link("root"));

  const auto& ns = model.tasks.namespaces(0);
  CHECK("mnt:[" + std::to_string(ns.mount()) + "]" == target.link("ns/mnt"));
  CHECK("pid:[" + std::to_string(ns.pid()) + "]" == target.link("ns/pid"));
  if (const std::string user = target.link("ns/user"); !user.empty())  // CONFIG_USER_NS
    CHECK("user:[" + std::to_string(ns.user()) + "]" == user);
  CHECK("time:[" + std::to_string(ns.time()) + "]" == target.link("ns/time"));
  CHECK("cgroup:[" + std::to_string(ns.cgroup()) + "]" == target.link("ns/cgroup"));

  const auto& space = model.memory.address_spaces(0);
  const std::string auxv = target.read("auxv");
  REQUIRE(static_cast<std::size_t>(space.auxv_size()) * 8 <= auxv.size());
  for (int i = 0; i < space.auxv_size(); ++i) {
    std::uint64_t word;
    std::memcpy(&word, auxv.data() + i * 8, 8);
    CHECK(space.auxv(i) == word);
  }
  CHECK(space.auxv(space.auxv_size() - 2) == AT_NULL);
  CHECK(space.dumpable() == 0);
  CHECK(space.thp_disabled());
  CHECK(space.coredump_filter() == hex(target.read("coredump_filter")));
  CHECK(bpfckpt::ModelIndex(model).file(space.exe_file_id())->path().path() == target.link("exe"));
  const std::string stat = target.read("stat");
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::vector<std::string> stat_field = {"", "", ""};
  for (std::string field; fields >> field;) stat_field.push_back(field);  // numbered as proc(5) does
  CHECK(space.start_code() == std::stoull(stat_field[26]));
  CHECK(space.end_code() == std::stoull(stat_field[27]));
  CHECK(space.start_stack() == std::stoull(stat_field[28]));
  CHECK(space.start_data() == std::stoull(stat_field[45]));
  CHECK(space.end_data() == std::stoull(stat_field[46]));
  CHECK(space.start_brk() == std::stoull(stat_field[47]));
  CHECK(space.arg_start() == std::stoull(stat_field[48]));
  CHECK(space.arg_end() == std::stoull(stat_field[49]));
  CHECK(space.env_start() == std::stoull(stat_field[50]));
  CHECK(space.env_end() == std::stoull(stat_field[51]));
}

TEST_CASE("threads, and one with credentials of its own") {
  Target target([] {
    static pthread_barrier_t ready;
    ::pthread_barrier_init(&ready, nullptr, 21);
    for (int i = 0; i < 20; ++i)
      std::thread([i] {
        if (i == 7) ::syscall(SYS_setresuid, -1, 12345, -1);  // of this thread only
        ::pthread_barrier_wait(&ready);
        for (;;) ::pause();
      }).detach();
    ::pthread_barrier_wait(&ready);
  });
  const auto model = model_of(target.pid());
  const auto& process = root_of(model);
  REQUIRE(process.threads_size() == 21);
  CHECK(process.threads(0).tid() == process.pid());
  int others = 0;
  for (const auto& thread : process.threads()) {
    CHECK(thread.clear_child_tid() != 0);
    CHECK(thread.robust_list() != 0);
    if (thread.credentials_id() == process.threads(0).credentials_id()) continue;
    ++others;
    CHECK(credentials_of(model, thread).euid() == 12345);
  }
  CHECK(others == 1);
}

TEST_CASE("a zombie and a stopped process") {
  int numbers[2];
  REQUIRE(::pipe2(numbers, O_CLOEXEC) == 0);
  Target target([&] {
    pid_t zombie = ::fork();
    if (zombie == 0) ::_exit(42);
    siginfo_t info;
    ::waitid(P_PID, static_cast<id_t>(zombie), &info, WEXITED | WNOWAIT);
    pid_t stopped = ::fork();
    if (stopped == 0) {
      ::close(Target::ready_fd);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::raise(SIGSTOP);
    }
    ::waitid(P_PID, static_cast<id_t>(stopped), &info, WSTOPPED | WNOWAIT);
    pid_t pids[] = {zombie, stopped};
    if (::write(numbers[1], pids, sizeof pids) != sizeof pids) ::_exit(1);
  });
  pid_t pids[2];
  REQUIRE(::read(numbers[0], pids, sizeof pids) == sizeof pids);
  const auto model = model_of(target.pid());
  bpfckpt::ModelIndex index(model);
  const auto* dead = index.process(static_cast<std::uint32_t>(pids[0]));
  const auto* halted = index.process(static_cast<std::uint32_t>(pids[1]));
  REQUIRE(dead != nullptr);
  REQUIRE(halted != nullptr);
  CHECK(dead->state() == bpfckpt::pb::ZOMBIE);
  CHECK(dead->exit_code() == 42 << 8);
  CHECK(dead->mm_id() == 0);
  CHECK(dead->parent_pid() == static_cast<std::uint32_t>(target.pid()));
  CHECK(halted->state() == bpfckpt::pb::STOPPED);
  CHECK(halted->stop_signal() == SIGSTOP);
  ::close(numbers[0]);
  ::close(numbers[1]);
}

TEST_CASE("timers") {
  Target target([] {
    timer_t id;
    sigevent event = {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGRTMIN + 3;
    event.sigev_value.sival_ptr = reinterpret_cast<void*>(0x123456789abcdef);
    itimerspec spec = {{7, 0}, {500, 0}};
    ::timer_create(CLOCK_MONOTONIC, &event, &id);
    ::timer_settime(id, 0, &spec, nullptr);
    ::timer_create(CLOCK_PROCESS_CPUTIME_ID, &event, &id);
    ::timer_settime(id, 0, &spec, nullptr);
    ::timer_create(CLOCK_REALTIME, &event, &id);  // not armed
  });
  const auto model = model_of(target.pid());
  const auto& process = root_of(model);
  REQUIRE(process.posix_timers_size() == 3);
  for (const auto& timer : process.posix_timers()) {
    CHECK(timer.signal() == static_cast<std::uint32_t>(SIGRTMIN + 3));
    CHECK(timer.sigev_value() == 0x123456789abcdef);
    if (timer.clock() == CLOCK_REALTIME) {
      CHECK(timer.value_ns() == 0);
      continue;
    }
    CHECK(timer.interval_ns() == 7'000'000'000);
    CHECK(timer.value_ns() > 400'000'000'000);
    CHECK(timer.value_ns() <= 500'000'000'000);
  }
  CHECK(process.obstacles().empty());
}

TEST_CASE("an interrupted call says what is left") {
  struct Call {
    void (*wait)();
    std::uint32_t number;
  };
  const Call calls[] = {{[] {
                           const timespec long_time = {300, 0};
                           ::nanosleep(&long_time, nullptr);
                         },
                         SYS_clock_nanosleep},
                        {[] { ::poll(nullptr, 0, 300'000); }, SYS_poll},
                        {[] {
                           const timespec long_time = {300, 0};
                           int word = 0;
                           ::syscall(SYS_futex, &word, FUTEX_WAIT, 0, &long_time, nullptr, 0);
                         },
                         SYS_futex}};
  for (const Call& call : calls) {
    CAPTURE(call.number);
    const pid_t pid = ::fork();
    if (pid == 0) {
      call.wait();
      ::_exit(0);
    }
    REQUIRE(::ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
    for (int round = 0; round < 3; ++round) {  // from the second time on it is inside restart_syscall(2)
      ::usleep(100'000);
      REQUIRE(::ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
      REQUIRE(::waitpid(pid, nullptr, 0) == pid);
      const auto model = model_of(pid);
      const auto& thread = root_of(model).threads(0);
      CAPTURE(round);
      REQUIRE(thread.has_restart());
      CHECK(thread.restart().call() == call.number);
      CHECK(thread.restart().clock() == CLOCK_MONOTONIC);
      CHECK(thread.restart().remaining_ns() > 250'000'000'000);
      CHECK(thread.restart().remaining_ns() < 300'000'000'000);
      ::ptrace(PTRACE_CONT, pid, 0, 0);
    }
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
  }
}

TEST_CASE("two hundred processes") {
  Target target([] {
    for (int i = 0; i < 200; ++i)
      if (::fork() == 0) {
        ::close(Target::ready_fd);
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) ::pause();
      }
  });
  const auto model = model_of(target.pid());
  CHECK(model.tasks.processes_size() == 201);
  for (int i = 1; i < model.tasks.processes_size(); ++i)
    CHECK(model.tasks.processes(i).parent_pid() == static_cast<std::uint32_t>(target.pid()));
  CHECK(model.memory.address_spaces_size() == 201);
  CHECK(model.files.tables_size() == 201);
}
