// SPDX-License-Identifier: Apache-2.0
#include "harness/cr_test.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/wait.h>
#include <time.h>

#include <atomic>
#include <climits>
#include <filesystem>

namespace cr {

// A test that needs other options defines its own.
__attribute__((weak)) Options options() {
  return {};
}

namespace {

std::string control_directory;
std::atomic<int> failures{0};
// Which checkpoint_here() of the test we are at, from 1.
int round_number = 1;
// How many are over: a futex.
std::atomic<std::uint32_t> rounds_over{0};
pid_t root = 0;

std::string control_file(const char* what) {
  return control_directory + "/" + what + "." + std::to_string(round_number);
}

void touch(const std::string& path) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  REQUIRE(fd >= 0);
  ::close(fd);
}

void nap() {
  const timespec nap{0, 2'000'000};
  ::clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, nullptr);
}

std::string read_proc(pid_t tid, const char* name) {
  const std::string path = "/proc/" + std::to_string(tid) + "/" + name;
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  char buffer[1024];
  const ssize_t n = ::read(fd, buffer, sizeof(buffer));
  ::close(fd);
  return n > 0 ? std::string(buffer, n) : std::string();
}

// Gives up after 10 s: a test that hangs in its set-up should say where.
void wait_until(const char* what, const std::function<bool()>& done) {
  for (int i = 0; i < 5000 * patience(); ++i) {
    if (done()) return;
    nap();
  }
  check_failed(__FILE__, __LINE__, std::string("gave up waiting for ") + what);
  ::_exit(1);
}

void print_option(const char* key, const std::string& value) {
  std::printf("%s=%s\n", key, value.c_str());
}

// The form that the runner reads: key=value, a line each.
void print_options() {
  const Options o = options();
  for (const std::string& arg : o.dump_args) print_option("dump", arg);
  for (const std::string& arg : o.restore_args) print_option("restore", arg);
  for (const std::string& pattern : o.ignore) print_option("ignore", pattern);
  if (!o.refused.empty()) print_option("refused", o.refused);
  if (o.leaves_running) print_option("leaves_running", "1");
  print_option("cycles", std::to_string(o.cycles));
  print_option("wait_status", std::to_string(o.wait_status));
}

}  // namespace

int patience() {
  static const char* const text = std::getenv("BPFCKPT_TEST_PATIENCE");
  return text == nullptr ? 1 : std::max(1, std::atoi(text));
}

const std::string& directory() {
  return control_directory;
}
void set_directory(const std::string& path) {
  control_directory = path;
}

// Allocates nothing: while we poll, the runner compares our memory with what it was.
bool over(int number) {
  char path[256];
  std::snprintf(path, sizeof(path), "%s/go.%d", control_directory.c_str(), number);
  return ::access(path, F_OK) == 0;
}

bool released() {
  return over(1);
}

// Other threads of the root sleep until checkpoint_here() returns, so that their stacks hold still; other
// processes can only poll.
void wait_released() {
  touch(control_directory + "/waiting." + std::to_string(gettid()));
  if (::getpid() != root) {
    while (!released()) nap();
    return;
  }
  while (rounds_over.load() == 0) {
    ::syscall(SYS_futex, &rounds_over, FUTEX_WAIT_PRIVATE, 0, nullptr, nullptr, 0);
  }
}

void await_waiting(int count) {
  wait_until("others to wait", [count] {
    int waiting = 0;
    for (const auto& entry : std::filesystem::directory_iterator(control_directory)) {
      if (entry.path().filename().string().starts_with("waiting.")) ++waiting;
    }
    return waiting >= count;
  });
}

void checkpoint_here() {
  std::fflush(nullptr);
  // Under its name it is seen at once, so the descriptor must be closed before it has it.
  touch(control_file("set-up"));
  REQUIRE(::rename(control_file("set-up").c_str(), control_file("ready").c_str()) == 0);
  while (!over(round_number)) nap();
  ++round_number;
  rounds_over.fetch_add(1);
  ::syscall(SYS_futex, &rounds_over, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

void skip(const std::string& feature) {
  std::printf("SKIP: %s\n", feature.c_str());
  std::fflush(nullptr);
  ::_exit(77);
}

void wait_in_syscall(pid_t tid, long number) {
  wait_until("a thread to sleep in a system call", [=] {
    const std::string line = read_proc(tid, "syscall");
    if (line.empty() || line.starts_with("running")) return false;
    return number < 0 || std::strtol(line.c_str(), nullptr, 10) == number;
  });
}

void wait_state(pid_t tid, char state) {
  wait_until("a task state", [=] {
    const std::string line = read_proc(tid, "stat");
    const std::size_t end = line.rfind(')');
    return end != std::string::npos && end + 2 < line.size() && line[end + 2] == state;
  });
}

Child::Child(const std::function<void()>& body) {
  std::fflush(nullptr);
  pid_ = ::fork();
  REQUIRE(pid_ >= 0);
  if (pid_ != 0) return;
  failures = 0;
  body();
  std::fflush(nullptr);
  ::_exit(failures == 0 ? 0 : 1);
}

void Child::join() {
  int status = -1;
  CHECK_EQ(::waitpid(pid_, &status, 0), pid_);
  CHECK_EQ(status, 0);
}

void check_failed(const char* file, int line, const std::string& text) {
  const int err = errno;
  failures.fetch_add(1);
  std::printf("%s:%d: pid %d: %s (errno: %s)\n", file, line, ::getpid(), text.c_str(), std::strerror(err));
  std::fflush(stdout);
}

}  // namespace cr

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("run by cr_runner\n", stderr);
    return 2;
  }
  if (std::strcmp(argv[1], "--cr-options") == 0) {
    cr::print_options();
    return 0;
  }
  cr::set_directory(argv[1]);
  cr::root = ::getpid();
  cr::test();
  if (cr::failures == 0) std::puts("PASS");
  std::fflush(stdout);
  return cr::failures == 0 ? 0 : 1;
}
