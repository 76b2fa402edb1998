// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>

#include <fcntl.h>

#include <chrono>

#include "base/fd.h"

namespace bpfckpt::log {
namespace {

// %* in the pattern: seconds since the program started, to the microsecond.
class SinceStart : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& msg, const std::tm&, spdlog::memory_buf_t& dest) override {
    std::chrono::duration<double> since = msg.time - start_;
    fmt::format_to(std::back_inserter(dest), "{:10.6f}", since.count());
  }
  std::unique_ptr<spdlog::custom_flag_formatter> clone() const override {
    return std::make_unique<SinceStart>(*this);
  }

 private:
  spdlog::log_clock::time_point start_ = spdlog::log_clock::now();
};

spdlog::level::level_enum level_of(int verbosity) {
  if (verbosity <= 0) return spdlog::level::off;
  if (verbosity == 1) return spdlog::level::err;
  if (verbosity == 2) return spdlog::level::warn;
  if (verbosity == 3) return spdlog::level::info;
  return spdlog::level::debug;
}

}  // namespace

Result<void> open(const std::string& path, int verbosity) {
  try {
    std::shared_ptr<spdlog::sinks::sink> sink;
    if (path.empty())
      sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
    else {
      // spdlog would make missing directories: a mistyped work directory has to be an error instead.
      if (!Fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)))
        return fail(Error::system(fmt::format("log file {}", path)));
      sink = std::make_shared<spdlog::sinks::basic_file_sink_mt>(path, true);
    }
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<SinceStart>('*').set_pattern("(%*) %l: %v");
    auto logger = std::make_shared<spdlog::logger>("bpfckpt", std::move(sink));
    logger->set_formatter(std::move(formatter));
    logger->set_level(level_of(verbosity));
    logger->flush_on(spdlog::level::warn);
    spdlog::set_default_logger(std::move(logger));
  } catch (const spdlog::spdlog_ex& e) {
    return fail(Error::system(fmt::format("log file {}: {}", path, e.what()), 0));
  }
  return {};
}

}  // namespace bpfckpt::log
