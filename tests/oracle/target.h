// SPDX-License-Identifier: Apache-2.0
// A process with known values to look at, and what /proc says of it.
#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "collect/collector.h"

namespace oracle {

// A child that runs `set_up`, says that it is ready, and sleeps until it is killed with the object.
class Target {
 public:
  template <class SetUp>
  explicit Target(SetUp set_up) {
    int ready[2];
    REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
    pid_ = ::fork();
    REQUIRE(pid_ >= 0);
    if (pid_ == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      ::close(ready[0]);
      ready_fd = ready[1];
      set_up();
      if (::write(ready[1], "r", 1) != 1) ::_exit(1);
      ::close(ready[1]);
      for (;;) ::pause();
    }
    ::close(ready[1]);
    char byte;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    while (::read(ready[0], &byte, 1) > 0) continue;  // closed by the target: it has no fd of ours any more
    ::close(ready[0]);
  }
  Target(const Target&) = delete;
  ~Target() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  // In the child: open until it is ready; what it forks has to close it.
  static inline int ready_fd = -1;

  pid_t pid() const { return pid_; }
  std::string proc(const std::string& name) const { return "/proc/" + std::to_string(pid_) + "/" + name; }

  std::string read(const std::string& name) const {
    std::ifstream file(proc(name), std::ios::binary);
    std::stringstream all;
    all << file.rdbuf();
    return all.str();
  }
  std::vector<std::string> lines(const std::string& name) const {
    std::vector<std::string> lines;
    std::istringstream text(read(name));
    for (std::string line; std::getline(text, line);) lines.push_back(line);
    return lines;
  }
  // "Key:\tvalue" lines, as in status and fdinfo.
  std::map<std::string, std::string> fields(const std::string& name) const {
    std::map<std::string, std::string> fields;
    for (const std::string& line : lines(name))
      if (auto colon = line.find(':'); colon != std::string::npos) {
        auto begin = line.find_first_not_of(" \t", colon + 1);
        fields[line.substr(0, colon)] = begin == std::string::npos ? "" : line.substr(begin);
      }
    return fields;
  }
  std::string link(const std::string& name) const {
    char path[4096];
    ssize_t len = ::readlink(proc(name).c_str(), path, sizeof path);
    return len < 0 ? "" : std::string(path, static_cast<std::size_t>(len));
  }

 private:
  pid_t pid_ = -1;
};

template <class T>
T must(bpfckpt::Result<T> result) {
  if (!result) FAIL(result.error().message());
  return std::move(*result);
}

// The model of the tree below `root`, by the collector.
inline bpfckpt::Model model_of(pid_t root) {
  auto collector = must(bpfckpt::Collector::open());
  std::vector<pid_t> pids;
  for (const auto& task : must(collector.tree(root)))
    if (task.tid == task.tgid) pids.push_back(static_cast<pid_t>(task.tgid));
  return must(bpfckpt::to_model(must(collector.collect(pids)), root));
}

inline std::uint64_t hex(const std::string& text) {
  return std::stoull(text, nullptr, 16);
}

}  // namespace oracle
