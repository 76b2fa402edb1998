// SPDX-License-Identifier: Apache-2.0
// One CLI11 application that knows every option of every action; each option says to which actions it
// belongs. CLI11's subcommands were not taken: users of CRIU's command line put options before the action too
// (`-D dir dump -t 7`), and one options file serves all actions, so that "known, but another action's" has to
// be told from "unknown".
#pragma once

#include <CLI/CLI.hpp>
#include <map>

#include "cmd/settings.h"

namespace bpfckpt::cli {

// The options, bound to a Settings that must outlive it.
class Front {
 public:
  explicit Front(Settings& settings);

  Result<void> parse(const Words& words);
  Result<void> check_action(ActionSet action, std::string_view name) const;
  std::string help(const ActionRow* action);

  // Null: no such option. `name` is long, without dashes, "no-" included for the negative of a boolean.
  const CLI::Option* find(const std::string& name) const { return app_.get_option_no_throw("--" + name); }
  bool belongs(const CLI::Option* option, ActionSet action) const {
    return (actions_.at(option) & action) != 0;
  }

 private:
  template <class T>
  CLI::Option* value(ActionSet actions, const std::string& names, T& target, const std::string& metavar,
                     const std::string& help) {
    auto* option = app_.add_option(names, target, help)->type_name(metavar);
    option->take_last();
    return add(option, actions);
  }
  // May be given more than once; the values add up.
  CLI::Option* list(ActionSet actions, const std::string& names, Words& target, const std::string& metavar,
                    const std::string& help) {
    auto* option = app_.add_option(names, target, help)->type_name(metavar);
    option->expected(1)->take_all();
    return add(option, actions);
  }
  // `names` ends with the long name, which gets its `--no-` counterpart.
  CLI::Option* boolean(ActionSet actions, const std::string& names, bool& target, const std::string& help) {
    auto long_name = names.substr(names.find("--") + 2);
    return add(app_.add_flag(names + ",!--no-" + long_name, target, help)->take_last(), actions);
  }
  CLI::Option* add(CLI::Option* option, ActionSet actions) {
    option->group(group_);
    actions_[option] = actions;
    return option;
  }

  void common(Settings& s);
  void tree(Settings& s);
  void resources(Settings& s);
  void surroundings(Settings& s);
  void reports(Settings& s);
  void reserved(Settings& s);

  CLI::App app_{"checkpoint and restore of Linux process trees", "bpfckpt"};
  std::map<const CLI::Option*, ActionSet> actions_;
  std::string group_;
};

}  // namespace bpfckpt::cli
