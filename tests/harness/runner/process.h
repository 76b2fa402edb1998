// SPDX-License-Identifier: Apache-2.0
// Running programs with a deadline, and keeping count of everything that descends from the runner.
#pragma once

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

namespace runner {

struct Outcome {
  bool timed_out = false;
  int wait_status = -1;
  std::string output;  // stdout and stderr together

  bool succeeded() const { return !timed_out && wait_status == 0; }
};

// From now on SIGTERM, SIGINT and SIGHUP are noted, so that who waits gives up and takes along what was
// started.
void note_end_signals();
bool told_to_end();

// Starts a program in its own session: stdin /dev/null, stdout and stderr appended to `output`.
pid_t start(const std::vector<std::string>& argv, const std::string& output);
// Runs a program to its end, or kills it after `timeout_s`, or when told_to_end().
Outcome run(const std::vector<std::string>& argv, int timeout_s);

// Everything that descends from the runner, zombies included, in order of pid.
std::vector<pid_t> descendants();

// Whether its first thread has a processor, or waits for one.
bool runs(pid_t pid);

// The runner is a subreaper, so whatever a killed tree leaves behind becomes its child. Reaps what has ended
// and remembers how.
class Reaper {
 public:
  void reap();
  // True, and the wait status, once that process was reaped.
  bool ended(pid_t pid, int& wait_status) const;
  void forget(pid_t pid) { ended_.erase(pid); }
  // Waits until the runner has no descendants.
  bool wait_none_left(int timeout_s);
  // SIGKILLs and reaps every descendant.
  void kill_all();

 private:
  std::map<pid_t, int> ended_;
};

std::string read_file(const std::string& path);
// Numbers that name entries of a directory, sorted: pids in /proc, tids in task/, descriptors in fd/.
std::vector<int> numeric_entries(const std::string& path);
void nap_ms(int ms);
std::string describe_status(int wait_status);

}  // namespace runner
