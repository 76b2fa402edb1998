// SPDX-License-Identifier: Apache-2.0
// The command line: words in, one checked options struct out. Nothing is opened, printed or run here.
#pragma once

#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "cmd/core.h"
#include "cmd/options.h"
#include "cmd/show.h"
#include "cmd/verify.h"

namespace bpfckpt::cli {

// --help and --version: what to print on standard output.
struct Print {
  std::string text;
};

using Command = std::variant<Print, DumpOptions, RestoreOptions, DiagnoseOptions, CheckOptions, CleanOptions,
                             ShowOptions, VerifyOptions, CoreOptions>;

// Reads `words` (argv without its first) after the lines of the configuration files `default_configs` (those
// that do not exist are passed over) and of those that --config names. Later words win over earlier ones, the
// command line over --config, --config over the defaults. Every error is Error::Usage.
Result<Command> parse(std::span<const std::string> words, std::span<const std::string> default_configs);

// /etc/bpfckpt/default.conf and ~/.config/bpfckpt/default.conf
std::vector<std::string> default_config_paths();

// Whether errors about these words are to be printed as JSON; answers also where parse() fails.
bool wants_json(std::span<const std::string> words);

}  // namespace bpfckpt::cli
