// SPDX-License-Identifier: Apache-2.0
// cr_runner [--no-checkpoint] [--keep] [--cycles N] TEST: takes one test of tests/cr through its checkpoints.
//
// --keep leaves the images and logs where they are, BPFCKPT_KEEP_FAILED those of a test that fails.
// --no-checkpoint lets the test go on without a dump: it shows that the test itself, and the snapshots, are
// sound.
#include <fcntl.h>
#include <fmt/format.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <sstream>
#include <string_view>
#include <utility>

#include "harness/runner/process.h"
#include "harness/runner/snapshot.h"

namespace runner {

namespace {

// Seconds for one step; an emulated guest is slow (BPFCKPT_TEST_PATIENCE says how many times more it gets).
int step_timeout_s() {
  const char* patience = std::getenv("BPFCKPT_TEST_PATIENCE");
  return 30 * (patience == nullptr ? 1 : std::max(1, std::atoi(patience)));
}
constexpr int kSkipped = 77;

struct Options {
  std::string bpfckpt;
  std::string test;
  bool checkpoint = true;
  bool keep = false;
  int cycles = 0;  // 0: as the test says
};

// cr::Options, as the test prints them.
struct TestOptions {
  std::vector<std::string> dump_args;
  std::vector<std::string> restore_args;
  std::vector<std::string> ignore;
  std::string refused;
  bool leaves_running = false;
  int cycles = 2;
  int wait_status = 0;
};

TestOptions ask_options(const std::string& test) {
  TestOptions options;
  std::istringstream lines(run({test, "--cr-options"}, step_timeout_s()).output);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t equals = line.find('=');
    const std::string key = line.substr(0, equals);
    const std::string value = equals == std::string::npos ? "" : line.substr(equals + 1);
    if (key == "dump") options.dump_args.push_back(value);
    if (key == "restore") options.restore_args.push_back(value);
    if (key == "ignore") options.ignore.push_back(value);
    if (key == "refused") options.refused = value;
    if (key == "leaves_running") options.leaves_running = true;
    if (key == "cycles") options.cycles = std::atoi(value.c_str());
    if (key == "wait_status") options.wait_status = std::atoi(value.c_str());
  }
  return options;
}

class Session {
 public:
  Session(const Options& options, std::string directory)
      : options_(options), test_(ask_options(options.test)), directory_(std::move(directory)) {
    if (options_.cycles > 0) test_.cycles = options_.cycles;
  }

  // The exit status for ctest.
  int drive() {
    output_ = directory_ + "/output";
    root_ = start({options_.test, directory_}, output_);
    const bool passed = rounds() && finish();
    reaper_.kill_all();
    fmt::print("{}", read_file(output_));
    if (skipped_) return kSkipped;
    return passed ? 0 : 1;
  }

 private:
  bool fail(const std::string& text) {
    fmt::print("FAIL: {}\n", text);
    return false;
  }

  // Each checkpoint_here() of the test is one round.
  bool rounds() {
    for (int round = 1;; ++round) {
      if (!wait_ready(round)) return !failed_;
      if (!one_round(round)) return false;
      const int fd =
          ::open(fmt::format("{}/go.{}", directory_, round).c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666);
      ::close(fd);
      rounds_done_ = round;
    }
  }

  // False when the root ended instead, or never gets there (failed_).
  bool wait_ready(int round) {
    const std::string ready = fmt::format("{}/ready.{}", directory_, round);
    for (int i = 0; i < step_timeout_s() * 500 && !told_to_end(); ++i) {
      if (::access(ready.c_str(), F_OK) == 0) return true;
      int status = 0;
      reaper_.reap();
      if (reaper_.ended(root_, status)) return false;
      nap_ms(2);
    }
    failed_ = true;
    return fail(fmt::format("the test does not reach checkpoint {}, nor its end", round));
  }

  bool one_round(int round) {
    Snapshot before;
    if (!settled(before)) return false;
    if (options_.checkpoint && !diagnosed(test_.refused.empty())) return false;
    if (!test_.refused.empty()) return refused(round, before);
    for (int cycle = 1; cycle <= test_.cycles; ++cycle) {
      const std::string images = fmt::format("{}/images.{}.{}", directory_, round, cycle);
      if (options_.checkpoint && !(dump(images) && (test_.leaves_running || restore(images)))) {
        return fail(fmt::format("in cycle {} of checkpoint {}", cycle, round));
      }
      if (!unchanged(before)) return fail(fmt::format("after cycle {} of checkpoint {}", cycle, round));
      // A thousand cycles must not fill the disk; --keep is for looking at them.
      if (!options_.keep) std::filesystem::remove_all(images);
    }
    return true;
  }

  std::vector<std::string> command(const char* action, const std::string& images,
                                   const std::vector<std::string>& more) {
    std::vector<std::string> argv{
        options_.bpfckpt, action, "-D", images, "-v4", "-o", fmt::format("{}.log", action)};
    argv.insert(argv.end(), more.begin(), more.end());
    return argv;
  }

  bool ran(const char* action, const std::string& images, const Outcome& outcome) {
    if (outcome.succeeded()) return true;
    fmt::print("{}{}", outcome.output, read_file(fmt::format("{}/{}.log", images, action)));
    return fail(fmt::format("{} {}", action,
                            outcome.timed_out ? "does not end" : describe_status(outcome.wait_status)));
  }

  // What diagnose says of the running tree is what dump does with it. It knows the options that allow things,
  // not those that say how.
  bool diagnosed(bool dumpable) {
    std::vector<std::string> argv{options_.bpfckpt, "diagnose", "--unsupported", "-t",
                                  fmt::format("{}", root_)};
    for (std::size_t i = 0; i < test_.dump_args.size(); ++i) {
      const std::string& word = test_.dump_args[i];
      if (word == "-R" || word == "--leave-running" || word == "--ghost-fiemap") continue;
      if (word == "--timeout")
        ++i;
      else
        argv.push_back(word);
    }
    const Outcome outcome = run(argv, step_timeout_s());
    const bool ended = !outcome.timed_out && WIFEXITED(outcome.wait_status);
    const int status = ended ? WEXITSTATUS(outcome.wait_status) : -1;
    if (status == (dumpable ? 0 : 1)) {
      if (dumpable || outcome.output.find(test_.refused) != std::string::npos) return true;
      return fail("diagnose gives another reason than dump: " + outcome.output);
    }
    return fail(fmt::format("diagnose {}, but dump says {}: {}", describe_status(outcome.wait_status),
                            dumpable ? "yes" : "no", outcome.output));
  }

  Outcome run_dump(const std::string& images) {
    ::mkdir(images.c_str(), 0700);
    std::vector<std::string> more{"-t", fmt::format("{}", root_)};
    more.insert(more.end(), test_.dump_args.begin(), test_.dump_args.end());
    return run(command("dump", images, more), step_timeout_s());
  }

  bool dump(const std::string& images) {
    if (!ran("dump", images, run_dump(images))) return false;
    if (!test_.leaves_running && !tree_is_gone()) return false;
    const Outcome verified = run({options_.bpfckpt, "verify", "-D", images}, step_timeout_s());
    if (!verified.succeeded()) return fail("verify: " + verified.output);
    return true;
  }

  bool tree_is_gone() {
    if (!reaper_.wait_none_left(step_timeout_s())) return fail("dump left processes of the tree behind");
    int status = 0;
    if (!reaper_.ended(root_, status) || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
      return fail("the root was not killed by dump but " + describe_status(status));
    }
    reaper_.forget(root_);
    return true;
  }

  bool restore(const std::string& images) {
    std::vector<std::string> more{"-d"};
    more.insert(more.end(), test_.restore_args.begin(), test_.restore_args.end());
    return ran("restore", images, run(command("restore", images, more), step_timeout_s()));
  }

  bool refused(int round, const Snapshot& before) {
    if (!options_.checkpoint) return true;
    const std::string images = fmt::format("{}/images.{}", directory_, round);
    const Outcome outcome = run_dump(images);
    if (outcome.succeeded()) return fail("dump should have refused");
    if (outcome.output.find(test_.refused) == std::string::npos) {
      return fail(fmt::format("dump does not say '{}' but: {}", test_.refused, outcome.output));
    }
    if (::access((images + "/manifest").c_str(), F_OK) == 0) return fail("a refused dump left a manifest");
    return unchanged(before);
  }

  // Whoever is about to fall asleep at the checkpoint does so first: two looks in a row must agree. On a busy
  // machine both may come before somebody had a processor: all have to sleep, unless they never do.
  bool settled(Snapshot& before) {
    for (int i = 0; i < 100 && std::ranges::any_of(descendants(), runs); ++i) nap_ms(2);
    before = take_snapshot(descendants());
    return unchanged_after_retries([&] {
             const Snapshot last = std::exchange(before, take_snapshot(descendants()));
             return differences(last, before, test_.ignore);
           }) ||
           fail("the tree does not hold still before the checkpoint");
  }

  bool unchanged(const Snapshot& before) {
    return unchanged_after_retries(
        [&] { return differences(before, take_snapshot(descendants()), test_.ignore); });
  }

  // A tree that was just let go may need a moment until it is as quiet as it was; what was lost stays lost.
  bool unchanged_after_retries(const std::function<std::vector<std::string>()>& look) {
    std::vector<std::string> found;
    for (int i = 0; i < 10; ++i) {
      found = look();
      if (found.empty()) return true;
      nap_ms(20);
    }
    for (std::size_t i = 0; i < found.size() && i < 40; ++i) fmt::print("differs: {}\n", found[i]);
    return fail(fmt::format("{} differences", found.size()));
  }

  // The test has been let go: waits for its end.
  bool finish() {
    int status = -1;
    for (int i = 0; i < step_timeout_s() * 500 && !told_to_end(); ++i) {
      reaper_.reap();
      if (reaper_.ended(root_, status)) break;
      nap_ms(2);
    }
    if (!reaper_.ended(root_, status)) return fail("the test does not end");
    if (WIFEXITED(status) && WEXITSTATUS(status) == kSkipped) {
      skipped_ = true;
      return true;
    }
    if (status != test_.wait_status) return fail("the test " + describe_status(status));
    if (rounds_done_ == 0) return fail("the test never called checkpoint_here()");
    return true;
  }

  const Options& options_;
  TestOptions test_;
  std::string directory_;
  std::string output_;
  pid_t root_ = 0;
  Reaper reaper_;
  int rounds_done_ = 0;
  bool failed_ = false;
  bool skipped_ = false;
};

// Tests neither meet one another's sockets, nor the machine's. Without the privilege they do.
void enter_own_network() {
  if (::unshare(CLONE_NEWNET) != 0) return;
  const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq loopback{};
  std::snprintf(loopback.ifr_name, sizeof loopback.ifr_name, "lo");
  loopback.ifr_flags = IFF_UP | IFF_RUNNING;
  if (fd < 0 || ::ioctl(fd, SIOCSIFFLAGS, &loopback) != 0) fmt::print("no loopback device\n");
  ::close(fd);
}

bool parse(int argc, char** argv, Options& options) {
  if (const char* program = std::getenv("BPFCKPT")) options.bpfckpt = program;
  for (int i = 1; i < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--no-checkpoint")
      options.checkpoint = false;
    else if (arg == "--keep")
      options.keep = true;
    else if (arg == "--cycles" && i + 1 < argc)
      options.cycles = std::atoi(argv[++i]);
    else
      options.test = arg;
  }
  return !options.test.empty() && (!options.checkpoint || !options.bpfckpt.empty());
}

}  // namespace

}  // namespace runner

int main(int argc, char** argv) {
  runner::Options options;
  if (!runner::parse(argc, argv, options)) {
    fmt::print("usage: BPFCKPT=program cr_runner [--no-checkpoint] [--keep] [--cycles N] TEST\n");
    return 2;
  }
  runner::note_end_signals();
  ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  ::umask(0);
  runner::enter_own_network();
  std::string directory = "/tmp/bpfckpt-cr.XXXXXX";
  if (::mkdtemp(directory.data()) == nullptr) return 2;
  ::chmod(directory.c_str(), 0777);
  const int status = runner::Session(options, directory).drive();
  const bool failed = status != 0 && status != runner::kSkipped;
  if (options.keep || (failed && std::getenv("BPFCKPT_KEEP_FAILED") != nullptr))
    fmt::print("kept: {}\n", directory);
  else
    std::filesystem::remove_all(directory);
  return status;
}
