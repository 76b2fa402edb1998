// SPDX-License-Identifier: Apache-2.0
// self_check DIR [epoll]: a program that notices when anything is done to it. It sleeps, polls, computes and
// (if asked) waits in epoll_wait, each in its own thread, and a child does the same; every call must end as
// it should, without EINTR (but for epoll_wait), not early, and no descriptor, mapping or signal mask may
// appear or change. DIR/beat.* are written every round; it ends with 0 when DIR/stop appears, and with 1 and
// a line on stderr at the first surprise.
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace {

std::string directory;

[[noreturn]] void surprise(const char* what) {
  std::fprintf(stderr, "self_check: pid %d: %s (errno: %s)\n", ::getpid(), what, std::strerror(errno));
  ::_exit(1);
}

#define EXPECT(condition)                   \
  do {                                      \
    if (!(condition)) surprise(#condition); \
  } while (0)

bool stopped() {
  return ::access((directory + "/stop").c_str(), F_OK) == 0;
}

double now() {
  timespec t;
  ::clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

std::uint64_t mask() {
  std::uint64_t bits = 0;
  EXPECT(::syscall(SYS_rt_sigprocmask, SIG_BLOCK, nullptr, &bits, 8) == 0);
  return bits;
}

// Each body is one round of its thread.
template <class Body>
std::thread repeat(std::atomic<int>& rounds, Body body) {
  return std::thread([&rounds, body] {
    const std::uint64_t before = mask();
    while (!stopped()) {
      body();
      EXPECT(mask() == before);
      ++rounds;
    }
  });
}

void sleep_once() {
  const timespec length{0, 3'000'000};
  const double start = now();
  EXPECT(::nanosleep(&length, nullptr) == 0);
  EXPECT(now() - start >= 0.003);
}

void poll_once(int silent) {
  pollfd fd{silent, POLLIN, 0};
  const double start = now();
  EXPECT(::poll(&fd, 1, 4) == 0);
  EXPECT(now() - start >= 0.004);
}

void epoll_once(int epoll) {
  epoll_event event;
  const double start = now();
  // The kernel ends this call with EINTR wherever a task stands still and goes on (signal(7)). bpfckpt makes
  // it again as soon as it sees the task stand; killed just before that, it cannot.
  const int n = ::epoll_wait(epoll, &event, 1, 5);
  EXPECT((n == 0 && now() - start >= 0.004) || (n < 0 && errno == EINTR));
}

void compute_once() {
  double x = 0.3;
  std::uint64_t bits = 0;
  for (int i = 0; i < 200'000; ++i) x = 3.99 * x * (1 - x);
  std::memcpy(&bits, &x, 8);
  static const std::uint64_t expected = bits;
  EXPECT(bits == expected);
  // Who computes for ever in a session of its own starves others on some kernels, for minutes and the
  // kernel's own workers too ("workqueue lockup", 6.18 with autogroups): whoever kills and waits would
  // measure that.
  ::usleep(200);
}

int count_entries(const char* path) {
  DIR* dir = ::opendir(path);
  EXPECT(dir != nullptr);
  int count = 0;
  while (::readdir(dir) != nullptr) ++count;
  ::closedir(dir);
  return count;
}

// As its own child of init's kind: the same again, one process down.
int run(bool with_epoll) {
  int silent[2];
  EXPECT(::pipe(silent) == 0);
  const int epoll = with_epoll ? ::epoll_create1(0) : -1;
  if (with_epoll) {
    epoll_event event{.events = EPOLLIN};
    EXPECT(::epoll_ctl(epoll, EPOLL_CTL_ADD, silent[0], &event) == 0);
  }
  std::atomic<int> rounds[4] = {};
  std::vector<std::thread> threads;
  threads.push_back(repeat(rounds[0], sleep_once));
  threads.push_back(repeat(rounds[1], [&] { poll_once(silent[0]); }));
  threads.push_back(repeat(rounds[2], compute_once));
  if (with_epoll) threads.push_back(repeat(rounds[3], [&] { epoll_once(epoll); }));
  // One beat a change of all counters.
  const std::string beat = directory + "/beat." + std::to_string(::getpid());
  int fds = 0;
  for (int number = 0; !stopped(); ++number) {
    const int before[] = {rounds[0], rounds[1], rounds[2], rounds[3]};
    while (!stopped() && (rounds[0] == before[0] || rounds[1] == before[1] || rounds[2] == before[2] ||
                          (with_epoll && rounds[3] == before[3]))) {
      ::usleep(1000);
    }
    const int count = count_entries("/proc/self/fd");
    if (fds == 0) fds = count;
    EXPECT(count == fds);
    const int fd = ::open(beat.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    EXPECT(fd >= 0);
    const std::string text = std::to_string(number);
    EXPECT(::pwrite(fd, text.data(), text.size(), 0) == static_cast<ssize_t>(text.size()));
    ::close(fd);
  }
  for (std::thread& thread : threads) thread.join();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  directory = argv[1];
  const bool with_epoll = argc > 2 && std::strcmp(argv[2], "epoll") == 0;
  const pid_t child = ::fork();
  EXPECT(child >= 0);
  if (child == 0) ::_exit(run(with_epoll));
  const int status = run(with_epoll);
  int child_status = -1;
  EXPECT(::waitpid(child, &child_status, 0) == child);
  return status != 0 || child_status != 0 ? 1 : 0;
}
