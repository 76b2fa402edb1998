// SPDX-License-Identifier: Apache-2.0
#include "cmd/cli.h"

#include <algorithm>
#include <cstdlib>

#include "cmd/config_file.h"
#include "cmd/front.h"

namespace bpfckpt::cli {

const ActionRow* find_action(std::string_view name) {
  for (const auto& row : kActions)
    if (row.name == name) return &row;
  return nullptr;
}

namespace {

// Words whose value may be left out (`-v`, `-vvv`, `--cpu-cap`) get one, so that what follows them is never
// taken.
Result<Words> normalise(std::span<const std::string> words) {
  Words out;
  int counted = 0;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& word = words[i];
    bool next_is_value =
        i + 1 < words.size() && !words[i + 1].starts_with('-') && find_action(words[i + 1]) == nullptr;
    if (word.size() >= 2 && word[0] == '-' && word.find_first_not_of('v', 1) == std::string::npos) {
      counted += static_cast<int>(word.size()) - 1;  // -v -v is -vv
      out.push_back(fmt::format("--verbosity={}", counted));
    } else if ((word == "--cpu-cap" || word == "--manage-cgroups") && !next_is_value) {
      out.push_back(word + (word == "--cpu-cap" ? "=all" : "=soft"));
    } else {
      out.push_back(word);
    }
  }
  return out;
}

// The lines of an options file as words for `action`. Lines that belong to other actions are passed over: one
// file serves all of them.
Result<void> add_config(const Front& front, ActionSet action, const std::vector<ConfigLine>& lines,
                        Words& words) {
  for (const auto& line : lines) {
    const auto* option = front.find(line.option);
    if (option == nullptr)
      return fail(Error::usage(fmt::format("unknown option {}", line.option)).in(line.where));
    if (option == front.find("config") || option == front.find("no-default-config"))
      return fail(Error::usage(fmt::format("{}: not in an options file", line.option)).in(line.where));
    if (!front.belongs(option, action)) continue;
    words.push_back("--" + line.option + (line.has_value ? "=" + line.value : ""));
  }
  return {};
}

}  // namespace

Result<Command> parse(std::span<const std::string> argv, std::span<const std::string> default_configs) {
  auto dashes = std::ranges::find(argv, "--");
  auto before = argv.first(static_cast<std::size_t>(dashes - argv.begin()));
  TRY_ASSIGN(auto words, normalise(before));

  // The words alone first: they name the action and the options files.
  Settings first;
  Front front(first);
  TRY(front.parse(words));
  const ActionRow* action = nullptr;
  if (!first.action.empty()) {
    action = find_action(first.action.front());
    if (action == nullptr) return fail(Error::usage(fmt::format("unknown action {}", first.action.front())));
    if (first.action.size() > 1)
      return fail(Error::usage(fmt::format("unexpected word {}", first.action[1])));
  }
  if (first.help) return Print{front.help(action)};
  if (first.version) return Print{"bpfckpt " BPFCKPT_VERSION "\n"};
  if (action == nullptr) return fail(Error::usage("an action is needed; see bpfckpt --help"));
  auto frame = std::string(action->name);
  if (action->bit == kReserved) return fail(Error::usage("not yet").in(frame));

  Words with_config;
  auto add_file = [&](const std::string& path, bool must_exist) -> Result<void> {
    TRY_ASSIGN(auto lines, read_config(path, must_exist));
    return add_config(front, action->bit, lines, with_config);
  };
  if (first.default_config)
    for (const auto& path : default_configs) TRY(add_file(path, false));
  for (const auto& path : first.config) TRY(add_file(path, true));
  auto complete = [&](const Front& parsed, Settings& settings) -> Result<Command> {
    TRY(parsed.check_action(action->bit, action->name), "{}", frame);
    if (dashes != argv.end()) settings.command.assign(dashes + 1, argv.end());
    auto command = options_of(action->bit, settings);
    if (!command) return fail(std::move(command.error()).in(frame));
    return command;
  };
  // To set up the parser takes as long as to dump a small process: it is not done again for nothing.
  if (with_config.empty()) return complete(front, first);

  TRY_ASSIGN(with_config, normalise(with_config));
  with_config.insert(with_config.end(), words.begin(), words.end());
  Settings settings;
  Front whole(settings);
  TRY(whole.parse(with_config), "{}", frame);
  return complete(whole, settings);
}

std::vector<std::string> default_config_paths() {
  std::vector<std::string> paths = {"/etc/bpfckpt/default.conf"};
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    paths.push_back(std::string(home) + "/.config/bpfckpt/default.conf");
  return paths;
}

bool wants_json(std::span<const std::string> words) {
  bool json = false;
  for (const auto& word : words) {
    if (word == "--") break;
    if (word == "--json") json = true;
    if (word == "--no-json") json = false;
  }
  return json;
}

}  // namespace bpfckpt::cli
