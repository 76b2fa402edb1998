// SPDX-License-Identifier: Apache-2.0
// A process to take over, made by fork(), and what /proc says of it: the oracle for tests of target/.
#pragma once

#include <dirent.h>
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "target/address.h"
#include "target/freeze.h"

namespace bpfckpt::victim {

// Memory that the test and its victims share.
template <class T>
class Shared {
 public:
  Shared()
      : at_(new(::mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) T()) {}
  ~Shared() { ::munmap(at_, sizeof(T)); }
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T* operator->() const { return at_; }
  T& operator*() const { return *at_; }

 private:
  T* at_;
};

// Runs `body` in a child, which exits with what it returns; killed at the end.
class Process {
 public:
  explicit Process(const std::function<int()>& body) : pid_(::fork()) {
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    ::_exit(body());
  }
  ~Process() {
    if (pid_ < 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, __WALL);
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t pid() const { return pid_; }
  // waitpid()'s status; the process must be untraced by now.
  int join() {
    int status = -1;
    ::waitpid(pid_, &status, __WALL);
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_;
};

inline std::string text_of(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

inline std::vector<pid_t> numbers_in(const std::string& directory) {
  std::vector<pid_t> numbers;
  if (DIR* dir = ::opendir(directory.c_str())) {
    while (const dirent* entry = ::readdir(dir))
      if (entry->d_name[0] != '.') numbers.push_back(std::atoi(entry->d_name));
    ::closedir(dir);
  }
  return numbers;
}

inline std::string proc(pid_t pid, const std::string& what) {
  return "/proc/" + std::to_string(pid) + "/" + what;
}

// A line of /proc/PID/status, without its name.
inline std::string status_line(pid_t pid, const std::string& name) {
  std::istringstream lines(text_of(proc(pid, "status")));
  for (std::string line; std::getline(lines, line);)
    if (line.starts_with(name + ":")) return line.substr(line.find_first_not_of(" \t", name.size() + 1));
  return "";
}

inline target::RemoteRange vdso_of(pid_t pid) {
  std::istringstream lines(text_of(proc(pid, "maps")));
  for (std::string line; std::getline(lines, line);) {
    std::uint64_t start = 0, end = 0;
    if (line.ends_with("[vdso]") && std::sscanf(line.c_str(), "%lx-%lx", &start, &end) == 2)
      return {target::RemoteAddress(start), target::RemoteAddress(end)};
  }
  return {};
}

// Fails the test where it does not come about in ten seconds.
inline void until(const std::function<bool()>& condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  REQUIRE(condition());
}

// What the real thing reads by BPF: all threads of `root` and its descendants.
inline target::TreeReader tree_reader(pid_t root) {
  return [root]() -> Result<std::vector<target::TreeMember>> {
    std::vector<target::TreeMember> members;
    std::vector<std::pair<pid_t, pid_t>> todo = {{root, 0}};
    while (!todo.empty()) {
      const auto [tgid, parent] = todo.back();
      todo.pop_back();
      for (const pid_t tid : numbers_in(proc(tgid, "task"))) {
        const std::string state = status_line(tid, "State");
        if (state.empty()) continue;
        members.push_back({.tid = tid,
                           .tgid = tgid,
                           .real_parent = parent,
                           .tracer = std::atoi(status_line(tid, "TracerPid").c_str()),
                           .gone = state[0] == 'Z' || state[0] == 'X',
                           .uninterruptible = state[0] == 'D'});
        std::istringstream children(text_of(proc(tgid, "task/" + std::to_string(tid) + "/children")));
        for (pid_t child = 0; children >> child;) todo.emplace_back(child, tgid);
      }
    }
    return members;
  };
}

}  // namespace bpfckpt::victim
