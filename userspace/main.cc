// SPDX-License-Identifier: Apache-2.0
#include <google/protobuf/stubs/logging.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/memory.h"
#include "cmd/check.h"
#include "cmd/clean.h"
#include "cmd/cli.h"
#include "cmd/diagnose.h"
#include "cmd/dump.h"
#include "cmd/report.h"
#include "cmd/restore.h"
#include "cmd/text.h"

namespace bpfckpt {
namespace {

// What was printed must have got there: a full disk behind standard output is a failure.
Result<int> printed(Result<int> status) {
  if (status && !std::cout.flush()) return fail(Error::system("standard output"));
  return status;
}

// The actions, each run by the struct it takes.
struct Run {
  Result<int> operator()(const cli::Print& print) const {
    std::fputs(print.text.c_str(), stdout);
    return 0;
  }
  Result<int> operator()(const DumpOptions& options) const { return run_dump(options, std::cout); }
  Result<int> operator()(const RestoreOptions& options) const { return run_restore(options, std::cout); }
  Result<int> operator()(const CheckOptions& check) const { return run_check(check, std::cout); }
  Result<int> operator()(const CleanOptions& clean) const { return run_clean(clean, std::cout); }
  Result<int> operator()(DiagnoseOptions options) const {
    options.width = terminal_width(STDOUT_FILENO);
    // https://no-color.org
    const char* no_colour = std::getenv("NO_COLOR");
    options.colour = ::isatty(STDOUT_FILENO) && (no_colour == nullptr || *no_colour == 0);
    return printed(run_diagnose(options, std::cout));
  }
  Result<int> operator()(ShowOptions options) const {
    options.width = terminal_width(STDOUT_FILENO);
    return printed(run_show(options, std::cout));
  }
  Result<int> operator()(const VerifyOptions& options) const {
    return printed(run_verify(options, std::cout));
  }
  Result<int> operator()(const CoreOptions& options) const { return printed(run_core(options, std::cout)); }
};

constexpr const char* name_of(const cli::Print&) {
  return "print";
}
constexpr const char* name_of(const DumpOptions&) {
  return "dump";
}
constexpr const char* name_of(const RestoreOptions&) {
  return "restore";
}
constexpr const char* name_of(const DiagnoseOptions&) {
  return "diagnose";
}
constexpr const char* name_of(const CheckOptions&) {
  return "check";
}
constexpr const char* name_of(const CleanOptions&) {
  return "clean";
}

constexpr const char* name_of(const ShowOptions&) {
  return "show";
}
constexpr const char* name_of(const VerifyOptions&) {
  return "verify";
}
constexpr const char* name_of(const CoreOptions&) {
  return "core";
}

// It must be there even if nothing is to be put into it.
Result<void> check_work_dir(const CommonOptions& common) {
  struct stat st;
  if (common.work_dir == common.images_dir) return {};
  if (::stat(common.work_dir.c_str(), &st) != 0)
    return fail(Error::system(fmt::format("--work-dir {}", common.work_dir)));
  if (!S_ISDIR(st.st_mode))
    return fail(Error::system(fmt::format("--work-dir {}", common.work_dir), ENOTDIR));
  return {};
}

Result<int> run(const cli::Command& command) {
  return std::visit(
      [](const auto& options) -> Result<int> {
        if constexpr (requires { options.common; }) {
          TRY(check_work_dir(options.common), "{}", name_of(options));
          TRY(log::open(options.common.log_file, options.common.verbosity), "{}", name_of(options));
        }
        auto status = Run{}(options);
        if (!status) return fail(std::move(status.error()).in(name_of(options)));
        return status;
      },
      command);
}

int report(const Error& error, bool json) {
  auto line = json ? error_as_json(error) : error.message();
  std::fprintf(stderr, "%s\n", line.c_str());
  return exit_code(error.code());
}

}  // namespace
}  // namespace bpfckpt

int main(int argc, char** argv) try {
  using namespace bpfckpt;
  keep_freed_memory();
  // What is wrong with an image is told by an Error; protobuf would print lines of its own besides.
  google::protobuf::SetLogHandler(nullptr);
  std::vector<std::string> words(argv + 1, argv + argc);
  auto command = cli::parse(words, cli::default_config_paths());
  if (!command) return report(command.error(), cli::wants_json(words));
  auto status = run(*command);
  if (!status) return report(status.error(), cli::wants_json(words));
  return *status;
} catch (const std::exception& e) {
  // Libraries throw where memory runs out. What was held is let go: destructors have run by now.
  std::fprintf(stderr, "bpfckpt: %s\n", e.what());
  return bpfckpt::exit_code(bpfckpt::Error::Code::Bug);
}
