// SPDX-License-Identifier: Apache-2.0
// The checkpoint tests are as good as their oracle: it must be blind to nothing that they leave to it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include "harness/runner/snapshot.h"

namespace {

using runner::Snapshot;

// Until it sleeps in read(): what it does before it gets there writes to its memory.
void wait_in_read(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/syscall";
  for (std::string number; number != std::to_string(SYS_read);) std::ifstream(path) >> number;
}

// A child that does `prepare`, is looked at, does `change`, and is looked at again.
std::vector<std::string> seen(const std::function<void()>& prepare, const std::function<void()>& change) {
  int up[2], down[2];
  REQUIRE(::pipe(up) == 0);
  REQUIRE(::pipe(down) == 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    char byte = 0;
    prepare();
    if (::write(up[1], "1", 1) != 1 || ::read(down[0], &byte, 1) != 1) ::_exit(1);
    change();
    if (::write(up[1], "2", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  REQUIRE(::read(up[0], &byte, 1) == 1);
  wait_in_read(pid);
  const Snapshot before = runner::take_snapshot({pid});
  for (const std::string& line : runner::differences(before, runner::take_snapshot({pid}), {}))
    FAIL_CHECK("without a change: ", line);
  REQUIRE(::write(down[1], "1", 1) == 1);
  REQUIRE(::read(up[0], &byte, 1) == 1);
  const Snapshot after = runner::take_snapshot({pid});
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  for (const int fd : {up[0], up[1], down[0], down[1]}) ::close(fd);
  return runner::differences(before, after, {});
}

bool mentions(const std::vector<std::string>& lines, const std::string& text) {
  for (const std::string& line : lines) {
    if (line.find(text) != std::string::npos) return true;
  }
  return false;
}

void nothing() {}

int fd_a = -1, fd_b = -1;
void open_null() {
  fd_a = ::open("/dev/null", O_RDONLY);
}
void open_zero_twice() {
  fd_a = ::open("/proc/version", O_RDONLY);
  fd_b = ::dup(fd_a);
}
char* area = nullptr;
void make_area() {
  area = static_cast<char*>(
      ::mmap(nullptr, 16 << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  area[5000] = 1;
}

}  // namespace

TEST_CASE("a descriptor that appears, goes, moves or changes is seen") {
  CHECK(mentions(seen(nothing, open_null), "extra '/dev/null'"));
  CHECK(mentions(seen(open_null, [] { ::close(fd_a); }), "/link: lost"));
  CHECK(mentions(seen(open_zero_twice, [] { ::lseek(fd_a, 3, SEEK_SET); }), "/pos"));
  CHECK(mentions(seen(open_null, [] { ::fcntl(fd_a, F_SETFD, FD_CLOEXEC); }), "/flags"));
  CHECK(mentions(seen(open_null, [] { ::fcntl(fd_a, F_SETFL, O_NONBLOCK); }), "/flags"));
}

TEST_CASE("a description that is no longer shared is seen, though everything else about it is equal") {
  const std::vector<std::string> found = seen(open_zero_twice, [] {
    const int own = ::open("/proc/version", O_RDONLY);
    ::dup2(own, fd_b);
    ::close(own);
  });
  CHECK(mentions(found, "/description"));
}

TEST_CASE("pipes that changed places are seen, though their numbers mean nothing") {
  static int first[2], second[2];
  const std::vector<std::string> found = seen(
      [] {
        if (::pipe(first) != 0 || ::pipe(second) != 0) ::_exit(1);
      },
      [] { ::dup2(second[1], first[1]); });
  CHECK(mentions(found, "/object"));
}

TEST_CASE("mappings and their flags are compared, and the bytes behind them") {
  CHECK(mentions(seen(nothing, make_area), "/map/"));
  CHECK(mentions(seen(make_area, [] { ::mprotect(area, 4096, PROT_READ); }), "/map/"));
  CHECK(mentions(seen(make_area, [] { ::madvise(area, 16 << 12, MADV_DONTFORK); }), "/map/"));
  // One block may be a thread's rseq area; a change must reach a second one to be noticed.
  CHECK(mentions(seen(make_area,
                      [] {
                        area[5100] = 1;
                        area[9000] = 1;
                        area[12000] = 1;
                      }),
                 "/memory"));
  CHECK(mentions(seen(make_area, [] { std::memset(area + 4096, 0, 4096), area[9000] = 7, area[9100] = 7; }),
                 "/memory"));
}

TEST_CASE("neighbours that differ in nothing count as one mapping") {
  const std::vector<std::string> found = seen(make_area, [] {
    ::mprotect(area, 4096, PROT_READ);
    ::mprotect(area, 4096, PROT_READ | PROT_WRITE);
  });
  for (const std::string& line : found) {
    // The calls themselves write to memory: the dynamic linker resolves them.
    if (line.find("/memory") == std::string::npos) FAIL_CHECK(line);
  }
}

TEST_CASE("what belongs to the process is compared") {
  CHECK(mentions(seen(nothing, [] { ::umask(0123); }), "status/Umask"));
  CHECK(mentions(seen(nothing, [] { ::signal(SIGUSR1, SIG_IGN); }), "status/SigIgn"));
  CHECK(mentions(seen(nothing, [] { ::prctl(PR_SET_NAME, "other"); }), "/comm"));
  CHECK(mentions(seen(nothing, [] { ::prctl(PR_SET_TIMERSLACK, 99); }), "/timerslack"));
  CHECK(mentions(seen(nothing, [] { ::setpriority(PRIO_PROCESS, 0, 9); }), "stat/nice"));
  CHECK(mentions(seen(nothing, [] { (void)!::chdir("/usr"); }), "/cwd"));
  CHECK(mentions(seen(nothing, [] { ::setpgid(0, 0); }), "stat/pgrp"));
  CHECK(mentions(seen(nothing, [] { (void)!::setresuid(1, 1, 1); }), "status/Uid"));
  CHECK(mentions(seen(nothing,
                      [] {
                        const rlimit limit{10, 20};
                        ::setrlimit(RLIMIT_CORE, &limit);
                      }),
                 "/limits"));
}

TEST_CASE("patterns leave facts and memory out") {
  Snapshot before, after;
  before.facts["7/fd/5/pos"] = "1";
  after.facts["7/fd/5/pos"] = "2";
  after.facts["7/fd/6/pos"] = "2";
  CHECK(runner::differences(before, after, {}).size() == 2);
  CHECK(runner::differences(before, after, {"*/fd/5/*"}).size() == 1);
  CHECK(runner::differences(before, after, {"*"}).empty());
}
