// SPDX-License-Identifier: Apache-2.0
// What a checkpoint/restore test is written against.
//
// A test is one file that defines cr::test(): it sets something up, calls checkpoint_here(), and verifies
// that nothing of it was lost. cr_runner starts it in its own session (stdin /dev/null, stdout and stderr one
// file), and while checkpoint_here() waits, dumps, checks that the tree is gone, and restores; twice. From
// outside the runner holds every process of the tree against what /proc said before
// (harness/runner/snapshot.h), so a test verifies from inside only what /proc does not show: values, not the
// inventory.
#pragma once

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

namespace cr {

// What the runner does differently for this test. A test that needs it defines cr::options().
struct Options {
  std::vector<std::string> dump_args;
  std::vector<std::string> restore_args;
  // fnmatch(3) patterns of snapshot keys ("*/fd/5/pos") that do not hold still in this test; say why beside
  // it.
  std::vector<std::string> ignore;
  // Not empty: dump must be refused with this in its message, and the tree must run on unharmed.
  std::string refused;
  // dump_args let the tree live: there is nothing to restore.
  bool leaves_running = false;
  int cycles = 2;
  // Wait status that the root ends with.
  int wait_status = 0;
};

Options options();
void test();

// Tells the runner that everything is set up and returns after the last restore. Called by the root process
// only, from any thread; it sleeps in short naps, so that it is an interrupted clock_nanosleep(2) that gets
// dumped.
void checkpoint_here();
// For other processes and threads of the tree: true once the (first) checkpoint_here() is over.
bool released();
// Tells await_waiting(), then waits for that.
void wait_released();
// Waits until so many threads and processes of the tree are in wait_released(); before checkpoint_here().
void await_waiting(int count);
// How many times more time things get: 1, or more in an emulated guest, which is slow.
int patience();
// Where the runner's control files are, and a place for the test's own; removed by the runner. Absolute.
const std::string& directory();
// After chroot(2): the same directory by its new name.
void set_directory(const std::string& path);

// Ends the test as skipped. Before checkpoint_here() only.
[[noreturn]] void skip(const std::string& feature);

// Waits until the thread sleeps in that system call (-1: in any). It must belong to this process or a child.
void wait_in_syscall(pid_t tid, long number);
// Waits until the one-letter state in /proc/TID/stat is that.
void wait_state(pid_t tid, char state);

// A forked child that runs a function and exits with 0 if no check in it failed.
class Child {
 public:
  explicit Child(const std::function<void()>& body);
  pid_t pid() const { return pid_; }
  // Reaps it and checks that it exited with 0.
  void join();

 private:
  pid_t pid_;
};

void check_failed(const char* file, int line, const std::string& text);

inline pid_t gettid() {
  return static_cast<pid_t>(::syscall(SYS_gettid));
}

template <class T>
std::string printed(const T& value) {
  std::ostringstream out;
  out << value;
  return out.str();
}

template <class A, class B>
void check_equal(const A& a, const B& b, const char* text, const char* file, int line) {
  if (a == b) return;
  check_failed(file, line, std::string(text) + ": " + printed(a) + " != " + printed(b));
}

}  // namespace cr

// CHECK notes a failure and goes on; REQUIRE ends the process. Both show errno, which may be stale.
#define CHECK(condition)                                                  \
  do {                                                                    \
    if (!(condition)) ::cr::check_failed(__FILE__, __LINE__, #condition); \
  } while (0)
#define REQUIRE(condition)                                \
  do {                                                    \
    if (!(condition)) {                                   \
      ::cr::check_failed(__FILE__, __LINE__, #condition); \
      ::_exit(1);                                         \
    }                                                     \
  } while (0)
#define CHECK_EQ(a, b) ::cr::check_equal((a), (b), #a " == " #b, __FILE__, __LINE__)
