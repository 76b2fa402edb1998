// SPDX-License-Identifier: Apache-2.0
#include "harness/runner/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <set>

namespace runner {

namespace {

volatile std::sig_atomic_t end_signal = 0;

std::vector<char*> c_argv(const std::vector<std::string>& argv) {
  std::vector<char*> out;
  for (const std::string& arg : argv) out.push_back(const_cast<char*>(arg.c_str()));
  out.push_back(nullptr);
  return out;
}

pid_t parent_of(pid_t pid) {
  const std::string stat = read_file(fmt::format("/proc/{}/stat", pid));
  const std::size_t end = stat.rfind(')');
  if (end == std::string::npos || end + 4 > stat.size()) return 0;
  return std::atoi(stat.c_str() + end + 4);
}

}  // namespace

void note_end_signals() {
  struct sigaction action{};
  action.sa_handler = [](int signal) { end_signal = signal; };
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) ::sigaction(signal, &action, nullptr);
}

bool told_to_end() {
  return end_signal != 0;
}

std::string read_file(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::string data;
  char buffer[16384];
  for (ssize_t n; (n = ::read(fd, buffer, sizeof(buffer))) > 0;) data.append(buffer, n);
  ::close(fd);
  return data;
}

std::vector<int> numeric_entries(const std::string& path) {
  std::vector<int> numbers;
  DIR* dir = ::opendir(path.c_str());
  if (dir == nullptr) return numbers;
  while (const dirent* entry = ::readdir(dir)) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9') numbers.push_back(std::atoi(entry->d_name));
  }
  ::closedir(dir);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

bool runs(pid_t pid) {
  const std::string stat = read_file(fmt::format("/proc/{}/stat", pid));
  const std::size_t name_end = stat.rfind(") ");
  return name_end != std::string::npos && stat.substr(name_end + 2, 1) == "R";
}

void nap_ms(int ms) {
  const timespec nap{ms / 1000, ms % 1000 * 1'000'000L};
  ::nanosleep(&nap, nullptr);
}

std::string describe_status(int wait_status) {
  if (WIFEXITED(wait_status)) return fmt::format("exited with {}", WEXITSTATUS(wait_status));
  if (WIFSIGNALED(wait_status)) return fmt::format("was killed by signal {}", WTERMSIG(wait_status));
  return fmt::format("wait status {:#x}", wait_status);
}

pid_t start(const std::vector<std::string>& argv, const std::string& output) {
  const pid_t pid = ::fork();
  if (pid != 0) return pid;
  ::setsid();
  const int in = ::open("/dev/null", O_RDONLY);
  const int out = ::open(output.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0666);
  if (in < 0 || out < 0) ::_exit(126);
  ::dup2(in, 0);
  ::dup2(out, 1);
  ::dup2(out, 2);
  // Whatever the runner was started with stays out of the target.
  ::close_range(3, ~0U, 0);
  ::execv(argv[0].c_str(), c_argv(argv).data());
  ::_exit(127);
}

Outcome run(const std::vector<std::string>& argv, int timeout_s) {
  Outcome outcome;
  char name[] = "/tmp/cr_runner.output.XXXXXX";
  const int out = ::mkstemp(name);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::dup2(out, 1);
    ::dup2(out, 2);
    ::close_range(3, ~0U, 0);
    ::execv(argv[0].c_str(), c_argv(argv).data());
    ::_exit(127);
  }
  ::close(out);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(timeout_s);
  while (::waitpid(pid, &outcome.wait_status, WNOHANG) == 0) {
    if (told_to_end() || std::chrono::steady_clock::now() > deadline) {
      outcome.timed_out = true;
      ::kill(pid, SIGKILL);
      ::waitpid(pid, &outcome.wait_status, 0);
      break;
    }
    nap_ms(1);
  }
  outcome.output = read_file(name);
  ::unlink(name);
  return outcome;
}

std::vector<pid_t> descendants() {
  std::multimap<pid_t, pid_t> children;
  for (const int pid : numeric_entries("/proc")) children.emplace(parent_of(pid), pid);
  std::set<pid_t> found;
  std::vector<pid_t> todo{::getpid()};
  while (!todo.empty()) {
    const pid_t parent = todo.back();
    todo.pop_back();
    const auto [begin, end] = children.equal_range(parent);
    for (auto it = begin; it != end; ++it) {
      if (found.insert(it->second).second) todo.push_back(it->second);
    }
  }
  return {found.begin(), found.end()};
}

void Reaper::reap() {
  int status = 0;
  for (pid_t pid; (pid = ::waitpid(-1, &status, WNOHANG | __WALL)) > 0;) ended_[pid] = status;
}

bool Reaper::ended(pid_t pid, int& wait_status) const {
  const auto it = ended_.find(pid);
  if (it == ended_.end()) return false;
  wait_status = it->second;
  return true;
}

bool Reaper::wait_none_left(int timeout_s) {
  for (int i = 0; i < timeout_s * 500 && !told_to_end(); ++i) {
    reap();
    if (descendants().empty()) return true;
    nap_ms(2);
  }
  return false;
}

void Reaper::kill_all() {
  for (int i = 0; i < 1000; ++i) {
    const std::vector<pid_t> left = descendants();
    if (left.empty()) return;
    for (const pid_t pid : left) ::kill(pid, SIGKILL);
    nap_ms(2);
    reap();
  }
}

}  // namespace runner
