// SPDX-License-Identifier: Apache-2.0
#include "harness/cr_test.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <time.h>

#include <atomic>

namespace cr {

// A test that needs other options defines its own.
__attribute__((weak)) Options options() {
  return {};
}

namespace {

std::string control_directory;
std::atomic<int> failures{0};
// Which checkpoint_here() of the test we are at, from 1; children inherit the number.
int round_number = 1;

std::string control_file(const char* what) {
  return control_directory + "/" + what + "." + std::to_string(round_number);
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
  for (int i = 0; i < 5000; ++i) {
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
  print_option("cycles", std::to_string(o.cycles));
  print_option("wait_status", std::to_string(o.wait_status));
}

}  // namespace

const std::string& directory() {
  return control_directory;
}
void set_directory(const std::string& path) {
  control_directory = path;
}

// Allocates nothing: while we poll, the runner compares our memory with what it was.
bool released() {
  char path[256];
  std::snprintf(path, sizeof(path), "%s/go.%d", control_directory.c_str(), round_number);
  return ::access(path, F_OK) == 0;
}

void wait_released() {
  while (!released()) nap();
}

void checkpoint_here() {
  std::fflush(nullptr);
  const int fd = ::open(control_file("ready").c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  REQUIRE(fd >= 0);
  ::close(fd);
  wait_released();
  ++round_number;
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
  cr::test();
  if (cr::failures == 0) std::puts("PASS");
  std::fflush(stdout);
  return cr::failures == 0 ? 0 : 1;
}
