// SPDX-License-Identifier: Apache-2.0
// bench_timed FILE COMMAND…: runs the command, writes the nanoseconds from before fork to after wait and
// those that it had a processor (user and system) into FILE, and exits as the command did. bench_timed FILE
// --fork N: the time to fork N processes that wait, and to hear of each.
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

int run(char** command) {
  pid_t pid = ::fork();
  if (pid == 0) {
    ::execv(command[0], command);
    std::perror(command[0]);
    std::_Exit(127);
  }
  int status = 0;
  if (pid < 0 || ::waitpid(pid, &status, 0) != pid) return 126;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Of children that were waited for.
long long processor_time_ns() {
  rusage usage{};
  ::getrusage(RUSAGE_CHILDREN, &usage);
  auto ns = [](timeval time) { return time.tv_sec * 1'000'000'000LL + time.tv_usec * 1000LL; };
  return ns(usage.ru_utime) + ns(usage.ru_stime);
}

int fork_many(int count, std::vector<pid_t>& children) {
  int up[2];
  if (::pipe(up) != 0) return 126;
  for (int i = 0; i < count; ++i) {
    pid_t pid = ::fork();
    if (pid < 0) return 126;
    if (pid == 0) {
      if (::write(up[1], "", 1) != 1) std::_Exit(1);
      for (;;) ::pause();
    }
    children.push_back(pid);
  }
  char byte = 0;
  for (int i = 0; i < count; ++i)
    if (::read(up[0], &byte, 1) != 1) return 126;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  std::vector<pid_t> children;
  auto before = Clock::now();
  int status = std::strcmp(argv[2], "--fork") == 0 && argc == 4 ? fork_many(std::atoi(argv[3]), children)
                                                                : run(argv + 2);
  auto took = std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - before).count();
  const long long processor_ns = processor_time_ns();
  for (pid_t child : children) ::kill(child, SIGKILL);
  for (pid_t child : children) ::waitpid(child, nullptr, 0);

  FILE* out = std::fopen(argv[1], "w");
  if (out == nullptr) return 126;
  std::fprintf(out, "%lld %lld\n", static_cast<long long>(took), processor_ns);
  return std::fclose(out) == 0 ? status : 126;
}
