// SPDX-License-Identifier: Apache-2.0
// The command line: what words become, what is refused, and in which words.
#include "cmd/cli.h"

#include <doctest/doctest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <initializer_list>

#include "cmd/actions.h"
#include "cmd/not_yet.h"

namespace {

using namespace bpfckpt;
using Words = std::vector<std::string>;

Result<cli::Command> parse(const Words& words, const Words& configs = {}) {
  return cli::parse(words, configs);
}

template <class Options>
Options parsed(const Words& words, const Words& configs = {}) {
  auto command = parse(words, configs);
  INFO((command ? "" : command.error().message()));
  REQUIRE(command.has_value());
  REQUIRE(std::holds_alternative<Options>(*command));
  return std::get<Options>(*command);
}

std::string refused(const Words& words, const Words& configs = {}) {
  auto command = parse(words, configs);
  REQUIRE_FALSE(command.has_value());
  CHECK(command.error().code() == Error::Code::Usage);
  return command.error().message();
}

// An options file that goes with the object.
class OptionsFile {
 public:
  explicit OptionsFile(const std::string& text)
      : path_(std::filesystem::temp_directory_path() /
              ("bpfckpt-cli-" + std::to_string(::getpid()) + ".conf")) {
    std::ofstream(path_) << text;
  }
  ~OptionsFile() { std::filesystem::remove(path_); }
  OptionsFile(const OptionsFile&) = delete;
  OptionsFile& operator=(const OptionsFile&) = delete;
  std::string path() const { return path_; }

 private:
  std::filesystem::path path_;
};

}  // namespace

TEST_CASE("dump: short and long words say the same") {
  for (const Words& words :
       {Words{"dump", "-t", "42", "-D", "/img", "-R", "-j"},
        Words{"dump", "--tree=42", "--images-dir=/img", "--leave-running", "--shell-job"},
        Words{"-D", "/img", "--tree", "42", "-jR", "dump"}}) {
    auto dump = parsed<DumpOptions>(words);
    CHECK(dump.pid == 42);
    CHECK(dump.common.images_dir == "/img");
    CHECK(dump.common.work_dir == "/img");
    CHECK(dump.leave_running);
    CHECK(dump.policy.shell_job);
    CHECK_FALSE(dump.leave_stopped);
    CHECK(dump.sync);
    CHECK(dump.timeout_ms == 10'000);
    CHECK(dump.policy.ghost_limit_bytes == UINT64_MAX);
  }
}

TEST_CASE("a boolean has its --no- counterpart and the last word wins") {
  CHECK_FALSE(parsed<DumpOptions>({"dump", "-t1", "--shell-job", "--no-shell-job"}).policy.shell_job);
  CHECK(parsed<DumpOptions>({"dump", "-t1", "--no-shell-job", "-j"}).policy.shell_job);
  CHECK_FALSE(parsed<DumpOptions>({"dump", "-t1", "--no-sync"}).sync);
  CHECK(parsed<DumpOptions>({"dump", "-t1", "--tree=9"}).pid == 9);
}

TEST_CASE("verbosity in all its spellings") {
  auto verbosity = [](const Words& words) {
    Words all = {"clean"};
    all.insert(all.end(), words.begin(), words.end());
    return parsed<CleanOptions>(all).common.verbosity;
  };
  CHECK(verbosity({}) == 2);
  CHECK(verbosity({"-v"}) == 1);
  CHECK(verbosity({"-vvv"}) == 3);
  CHECK(verbosity({"-v", "-v"}) == 2);
  CHECK(verbosity({"-v4"}) == 4);
  CHECK(verbosity({"-v0"}) == 0);
  CHECK(verbosity({"--verbosity", "3"}) == 3);
  CHECK(verbosity({"--verbosity=1"}) == 1);
  // `-v` takes no word that follows it.
  CHECK(parsed<CleanOptions>({"-v", "clean"}).common.verbosity == 1);
}

TEST_CASE("the log and the pidfile lie in the work directory") {
  auto restore =
      parsed<RestoreOptions>({"restore", "-D", "img", "-W", "/work", "-o", "r.log", "--pidfile", "pid"});
  CHECK(restore.common.images_dir == "img");
  CHECK(restore.common.log_file == "/work/r.log");
  CHECK(restore.pidfile == "/work/pid");
  CHECK(parsed<RestoreOptions>({"restore", "-D", "img", "--log-file", "l"}).common.log_file == "img/l");
  CHECK(parsed<RestoreOptions>({"restore", "-D", "img", "-o", "/l"}).common.log_file == "/l");
}

TEST_CASE("restore: what it makes of its words") {
  auto restore = parsed<RestoreOptions>(
      {"restore", "-S", "--plan", "--inherit-fd", "fd[3]:pipe:[77]", "--inherit-fd=fd[10]:/a b"});
  CHECK(restore.sibling);
  CHECK(restore.detached);
  CHECK(restore.plan);
  REQUIRE(restore.inherit_fds.size() == 2);
  CHECK(restore.inherit_fds[0].fd == 3);
  CHECK(restore.inherit_fds[0].resource == "pipe:[77]");
  CHECK(restore.inherit_fds[1].fd == 10);
  CHECK(restore.inherit_fds[1].resource == "/a b");
  CHECK_FALSE(parsed<RestoreOptions>({"restore"}).detached);
}

TEST_CASE("clean looks into an images directory only if one is named") {
  CHECK_FALSE(parsed<CleanOptions>({"clean"}).images);
  auto clean = parsed<CleanOptions>({"clean", "-D", "/i"});
  CHECK(clean.images);
  CHECK(clean.common.images_dir == "/i");
}

TEST_CASE("show, core and verify") {
  CHECK(parsed<ShowOptions>({"show", "-D", "/i", "--pid=3"}).pid == 3);
  CHECK(parsed<VerifyOptions>({"verify", "-D", "/i"}).common.images_dir == "/i");
  // -o is core's own output, and no log.
  auto core = parsed<CoreOptions>({"core", "-D", "/i", "--pid", "3", "-o", "c"});
  CHECK(core.pid == 3);
  CHECK(core.output_path == "c");
  CHECK(core.common.log_file.empty());
}

TEST_CASE("pictures of a checkpoint") {
  CHECK(parsed<ShowOptions>({"show"}).as == ShowOptions::As::Text);
  CHECK(parsed<ShowOptions>({"show", "--dot"}).as == ShowOptions::As::Dot);
  CHECK(parsed<ShowOptions>({"show", "--html"}).as == ShowOptions::As::Html);
  CHECK(refused({"show", "--html", "--json"}).find("exclude") != std::string::npos);
  CHECK(refused({"show", "--html", "--pid", "3"}).find("whole tree") != std::string::npos);
}

TEST_CASE("what of the CPU is compared") {
  auto checks = [](std::vector<std::string> words) {
    words.insert(words.begin(), "restore");
    auto options = parsed<RestoreOptions>(words);
    return fmt::format("{:d}{:d}{:d}", options.cpu_instructions, options.cpu_state, options.cpu_model);
  };
  CHECK(checks({}) == "110");
  CHECK(checks({"--cpu-cap"}) == "111");
  CHECK(checks({"--cpu-cap=none"}) == "000");
  CHECK(checks({"--cpu-cap", "ins"}) == "100");
  CHECK(checks({"--cpu-cap=fpu,cpu"}) == "011");
  CHECK(refused({"restore", "--cpu-cap=sse"}).find("--cpu-cap sse") != std::string::npos);
  CHECK(refused({"dump", "-t1", "--cpu-cap=sse"}).find("--cpu-cap sse") != std::string::npos);
}

TEST_CASE("sizes") {
  auto limit = [](const std::string& size) {
    return parsed<DumpOptions>({"dump", "-t1", "--ghost-limit", size}).policy.ghost_limit_bytes;
  };
  CHECK(limit("0") == 0);
  CHECK(limit("1000") == 1000);
  CHECK(limit("2K") == 2048);
  CHECK(limit("3m") == 3 << 20);
  CHECK(limit("5G") == 5ull << 30);
  for (const auto* bad : {"", "K", "1X", "1KB", "-1", "99999999999999999999", "99999999999G", "1.5M"}) {
    CAPTURE(bad);
    CHECK_FALSE(parse({"dump", "-t1", std::string("--ghost-limit=") + bad}).has_value());
  }
}

TEST_CASE("what makes no sense is refused by name") {
  CHECK(refused({}) == "an action is needed; see bpfckpt --help");
  CHECK(refused({"dmup"}) == "unknown action dmup");
  CHECK(refused({"dump", "restore"}) == "unexpected word restore");
  CHECK(refused({"dump"}) == "dump: --tree PID is needed");
  CHECK(refused({"dump", "-t", "1", "--foo", "7"}) == "unknown option --foo");
  CHECK(refused({"dump", "-t", "1", "--pidfile=x"}) == "dump: --pidfile: not an option of dump");
  CHECK(refused({"restore", "--inherit-fd", "3:x"}) == "restore: --inherit-fd 3:x: fd[N]:RES was expected");
  CHECK(refused({"restore", "--", "ls"}) == "restore: words after `--` belong to --exec-cmd");
  CHECK(refused({"dump", "-t1", "-R", "-s"}).find("exclude each other") != std::string::npos);
  CHECK(refused({"dump", "-t", "no"}).find("--tree") != std::string::npos);
  CHECK(refused({"dump", "-t", "-7"}).find("--tree") != std::string::npos);
  CHECK(refused({"dump", "-t1", "--external", "foo[1]"}).find("was expected") != std::string::npos);
  CHECK(refused({"dump", "-t1", "--external", "net[1]:n"}) == "dump: --external net[1]:n: not yet");
  CHECK(refused({"diagnose"}).find("needed") != std::string::npos);
}

TEST_CASE("every row of the not-yet table is a known option and is refused") {
  for (const auto& row : cli::kNotYet) {
    std::string option = "--" + std::string(row.option);
    CAPTURE(option);
    bool refused_once = false;
    for (const auto& action : cli::kActions) {
      if ((row.actions & action.bit) == 0 || action.bit == cli::kReserved) continue;
      // As a boolean, as a number, as one of a list of words: whichever the option takes.
      for (const auto* value : {"", "=1", "=soft", "=bpf", "=filesize"}) {
        auto command = parse({std::string(action.name), "-t1", option + value});
        if (action.bit != cli::kDump && action.bit != cli::kDiagnose)
          command = parse({std::string(action.name), option + value});
        REQUIRE_FALSE(command.has_value());
        refused_once = refused_once || command.error().message().ends_with(option + ": not yet");
        CHECK(command.error().message().find("unknown option") == std::string::npos);
      }
    }
    CHECK(refused_once);
  }
  for (const auto* action : {"pre-dump", "lazy-pages", "page-server", "service", "swrk"})
    CHECK(refused({action}) == std::string(action) + ": not yet");
  // Turned off it asks for nothing.
  CHECK(parse({"dump", "-t1", "--no-tcp-established"}).has_value());
}

TEST_CASE("options files: one for all actions, the command line wins") {
  OptionsFile file("# everyone's\nverbosity 4\npidfile \"a b\"\n  timeout=3   # seconds\nshell-job\n\n");
  auto dump = parsed<DumpOptions>({"dump", "-t1"}, {file.path(), "/nonexistent/default.conf"});
  CHECK(dump.common.verbosity == 4);
  CHECK(dump.timeout_ms == 3000);
  CHECK(dump.policy.shell_job);
  CHECK(parsed<RestoreOptions>({"restore", "-D", "/i", "--config", file.path()}).pidfile == "/i/a b");

  auto over = parsed<DumpOptions>({"dump", "-t1", "-v1", "--no-shell-job"}, {file.path()});
  CHECK(over.common.verbosity == 1);
  CHECK_FALSE(over.policy.shell_job);
  CHECK_FALSE(parsed<DumpOptions>({"dump", "-t1", "--no-default-config"}, {file.path()}).policy.shell_job);
}

TEST_CASE("options files: mistakes are named with file and line") {
  OptionsFile unknown("verbosity 1\nfoo\n");
  CHECK(refused({"dump", "-t1"}, {unknown.path()}) == unknown.path() + ":2: unknown option foo");
  OptionsFile dashes("--verbosity 1\n");
  CHECK(refused({"dump", "-t1"}, {dashes.path()}).starts_with(dashes.path() + ":1: "));
  OptionsFile quote("log-file \"x\n");
  CHECK(refused({"dump", "-t1"}, {quote.path()}).starts_with(quote.path() + ":1: "));
  OptionsFile nested("config other\n");
  CHECK(refused({"dump", "-t1"}, {nested.path()}).ends_with("config: not in an options file"));
  CHECK(refused({"dump", "-t1", "--config", "/nonexistent"}).find("No such file") != std::string::npos);
}

TEST_CASE("help names the options of the action and no other") {
  auto dump = parsed<cli::Print>({"dump", "--help"}).text;
  CHECK(dump.find("--leave-running") != std::string::npos);
  CHECK(dump.find("--pidfile") == std::string::npos);
  CHECK(dump.find("--track-mem") == std::string::npos);
  auto all = parsed<cli::Print>({"-h"}).text;
  for (const auto& action : cli::kActions)
    if (action.bit != cli::kReserved) CHECK(all.find(action.name) != std::string::npos);
  CHECK(parsed<cli::Print>({"-V"}).text.starts_with("bpfckpt "));
}
