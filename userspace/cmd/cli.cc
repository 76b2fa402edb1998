// SPDX-License-Identifier: Apache-2.0
// One CLI11 application knows every option of every action; each option says to which actions it belongs.
// CLI11's subcommands were not taken: users of CRIU's command line put options before the action too (`-D dir
// dump -t 7`), and one options file serves all actions, so that "known, but another action's" has to be told
// from "unknown".
#include "cmd/cli.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <map>
#include <optional>

#include "cmd/actions.h"
#include "cmd/config_file.h"
#include "cmd/not_yet.h"

namespace bpfckpt::cli {

const ActionRow* find_action(std::string_view name) {
  for (const auto& row : kActions)
    if (row.name == name) return &row;
  return nullptr;
}

namespace {

using Words = std::vector<std::string>;

// What the words said, before it is sorted into the structs of the actions.
struct Settings {
  bool help = false, version = false, json = false;
  Words action;
  std::uint32_t tree = 0, pid = 0;
  std::string images_dir, work_dir, log_file, output;
  int verbosity = 2;
  bool restore_detached = false, restore_sibling = false, leave_running = false, leave_stopped = false;
  bool sync = true;
  std::string pidfile;
  bool shell_job = false, file_locks = false;
  bool tcp_established = false, tcp_close = false, skip_in_flight = false, ext_unix_sk = false;
  Words external, inherit_fd;
  bool link_remap = false, ghost_fiemap = false, evasive_devices = false, force_irmap = false;
  std::string ghost_limit;
  Words irmap_scan_path;
  std::string manage_cgroups = "soft";
  Words cgroup_root;
  std::uint32_t timeout_s = 10;
  std::string freeze_cgroup;
  Words action_script;
  bool exec_cmd = false;
  Words command;  // what stands after `--`
  int status_fd = -1;
  bool display_stats = false, plan = false;
  bool skip_file_rwx_check = false;
  std::string file_validation = "filesize";
  Words cpu_cap;
  std::string network_lock = "bpf";
  bool unprivileged = false;
  std::string root;
  bool all = false, unsupported = false, dot = false, html = false;
  Words feature;
  Words config;
  bool default_config = true;
  bool track_mem = false, lazy_pages = false, stream = false;
  std::string prev_images_dir;
  Words join_ns;
};

// CLI11's own lists `--no-x{false}` beside each boolean `--x`, and the values that a check allows beside the
// help that tells them.
class OptionFormatter : public CLI::Formatter {
 public:
  OptionFormatter() { column_width(34); }
  std::string make_option_name(const CLI::Option* option, bool /*positional*/) const override {
    std::string names;
    for (const auto& name : option->get_snames()) names += (names.empty() ? "-" : ", -") + name;
    for (const auto& name : option->get_lnames()) {
      if (name.starts_with("no-") && option->get_lnames().size() > 1) continue;
      names += (names.empty() ? "--" : ", --") + name;
    }
    return names;
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    auto type = option->get_type_name();
    type.resize(std::min(type.size(), type.find(":{")));
    return type.empty() ? type : ' ' + type;
  }
};

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

constexpr ActionSet kTrees = kDump | kRestore | kDiagnose;

Front::Front(Settings& s) {
  app_.set_help_flag();
  app_.allow_extras();
  common(s);
  tree(s);
  resources(s);
  surroundings(s);
  reports(s);
  reserved(s);
}

void Front::common(Settings& s) {
  group_ = "Everywhere";
  add(app_.add_flag("-h,--help", s.help, "print this and leave"), kAnyAction);
  add(app_.add_flag("-V,--version", s.version, "print the version and leave"), kAnyAction);
  value(kAnyAction, "-D,--images-dir", s.images_dir, "DIR", "the checkpoint (default: here)");
  value(kAnyAction, "-W,--work-dir", s.work_dir, "DIR",
        "for logs, pidfiles and stats (default: the images directory)");
  value(kAnyAction, "--log-file", s.log_file, "FILE",
        "log to FILE, relative to the work directory (also -o, but for core)");
  value(kAnyAction, "-o,--output", s.output, "FILE", "core: what to write; elsewhere: the log file");
  value(kAnyAction, "-v,--verbosity", s.verbosity, "N",
        "1 errors, 2 warnings (default), 3 info, 4 debug; -vvv is -v3");
  boolean(kAnyAction, "--json", s.json, "reports and errors as JSON");
  list(kAnyAction, "--config", s.config, "FILE", "read options from FILE: without dashes, one a line");
  add(app_.add_flag("!--no-default-config", s.default_config, "pass over the default options files"),
      kAnyAction);
}

void Front::tree(Settings& s) {
  group_ = "The tree";
  value(kDump | kDiagnose, "-t,--tree", s.tree, "PID", "the root of the tree");
  value(kShow | kCore, "--pid", s.pid, "P", "only this process");
  boolean(kDump, "-R,--leave-running", s.leave_running, "let the tree run on after the dump");
  boolean(kDump, "--sync", s.sync, "the images are on the disk before the tree is killed (default: yes)");
  boolean(kDump | kRestore, "-s,--leave-stopped", s.leave_stopped, "leave the tree stopped");
  boolean(kRestore, "-d,--restore-detached", s.restore_detached, "return when the tree runs");
  boolean(kRestore, "-S,--restore-sibling", s.restore_sibling, "restore as a sibling of bpfckpt; implies -d");
  value(kRestore, "--pidfile", s.pidfile, "FILE",
        "write the pid of the root, relative to the work directory");
  boolean(kRestore, "--exec-cmd", s.exec_cmd, "after it, exec what follows `--` as the parent of the tree");
  boolean(kRestore, "--plan", s.plan, "print the plan of the restore and make nothing");
  value(kDump, "--timeout", s.timeout_s, "SEC", "give up freezing after SEC (default: 10)");
  value(kDump, "--freeze-cgroup", s.freeze_cgroup, "PATH", "freeze by cgroup");
  boolean(kDiagnose, "--all", s.all, "every process of the machine");
  boolean(kDiagnose, "--unsupported", s.unsupported, "only what cannot be checkpointed");
}

void Front::resources(Settings& s) {
  group_ = "Files and sockets";
  boolean(kTrees, "-j,--shell-job", s.shell_job, "allow a session leader or terminal outside of the tree");
  boolean(kTrees, "-l,--file-locks", s.file_locks, "allow file locks");
  boolean(kTrees, "--tcp-established", s.tcp_established, "take established TCP connections");
  boolean(kTrees, "--tcp-close", s.tcp_close,
          "dump, restore: established TCP connections come back as if they had been reset");
  boolean(kTrees, "--skip-in-flight", s.skip_in_flight, "leave out connections that are not yet accepted");
  boolean(kTrees, "--ext-unix-sk", s.ext_unix_sk, "allow unix sockets with a peer outside of the tree");
  list(kTrees, "--external", s.external, "RES",
       "what exists outside: file[MNT:INO], tty[RDEV:DEV], dev[MAJ/MIN]:NAME, ...");
  list(kRestore, "--inherit-fd", s.inherit_fd, "fd[N]:RES", "give RES back by our descriptor N");
  boolean(kTrees, "--link-remap", s.link_remap, "link unlinked files that live on elsewhere again");
  value(kDump | kDiagnose, "--ghost-limit", s.ghost_limit, "SIZE",
        "largest deleted file to carry (default: no limit)");
  boolean(kDump, "--ghost-fiemap", s.ghost_fiemap, "accepted; holes are always kept");
  boolean(kDump | kRestore, "--evasive-devices", s.evasive_devices, "accepted for compatibility");
  boolean(kDump, "--force-irmap", s.force_irmap, "accepted for compatibility");
  list(kDump, "--irmap-scan-path", s.irmap_scan_path, "P", "accepted for compatibility");
  boolean(kRestore, "--skip-file-rwx-check", s.skip_file_rwx_check,
          "do not compare the permissions of files");
  value(kRestore, "--file-validation", s.file_validation, "HOW", "filesize (default) or buildid")
      ->check(CLI::IsMember({"filesize", "buildid"}));
}

void Front::surroundings(Settings& s) {
  group_ = "Surroundings";
  value(kDump | kRestore, "--network-lock", s.network_lock, "METHOD", "bpf (default) or skip")
      ->check(CLI::IsMember({"bpf", "skip", "iptables", "nftables"}));
  value(kDump | kRestore, "--manage-cgroups", s.manage_cgroups, "MODE",
        "none, props, soft (default), full, strict, ignore")
      ->check(CLI::IsMember({"none", "props", "soft", "full", "strict", "ignore"}));
  list(kDump | kRestore, "--cgroup-root", s.cgroup_root, "[CTL:]PATH", "where cgroups are put below");
  list(kDump | kRestore, "--action-script", s.action_script, "FILE", "run at the stages of dump and restore");
  value(kDump | kRestore, "--status-fd", s.status_fd, "FD", "write one 0 byte and close when ready");
  list(kDump | kRestore, "--cpu-cap", s.cpu_cap, "CAP",
       "what of the CPU must be here that was there: ins, fpu, cpu, all, none (default: ins,fpu)");
  value(kDump | kRestore, "-r,--root", s.root, "PATH", "the root of the tree's mount namespace");
  boolean(kDump | kRestore | kDiagnose | kCheck, "--unprivileged", s.unprivileged,
          "run with few capabilities, saying what is out of reach");
}

void Front::reports(Settings& s) {
  group_ = "Reports";
  boolean(kDump | kRestore, "--display-stats", s.display_stats, "print timings and counts");
  list(kCheck, "--feature", s.feature, "F", "only this feature");
  boolean(kShow, "--dot", s.dot, "the tree and what is shared as a graph for graphviz");
  boolean(kShow, "--html", s.html, "the same, memory and timings as one web page");
}

void Front::reserved(Settings& s) {
  group_ = "";  // not shown
  boolean(kDump | kReserved, "--track-mem", s.track_mem, "");
  value(kDump | kRestore | kReserved, "--prev-images-dir", s.prev_images_dir, "DIR", "");
  boolean(kDump | kRestore | kReserved, "--lazy-pages", s.lazy_pages, "");
  boolean(kDump | kRestore | kReserved, "--stream", s.stream, "");
  list(kRestore, "--join-ns", s.join_ns, "NS:WHERE", "");
  add(app_.add_option("action", s.action), kAnyAction);
}

Result<void> Front::parse(const Words& words) {
  try {
    auto reversed = words;  // CLI11 takes its words from the back
    std::ranges::reverse(reversed);
    app_.parse(std::move(reversed));
  } catch (const CLI::ParseError& e) {
    std::string text = e.what();
    while (text.ends_with('\n')) text.pop_back();
    return fail(Error::usage(text));
  }
  for (const auto& word : app_.remaining())
    if (word != "--") return fail(Error::usage(fmt::format("unknown option {}", word)));
  return {};
}

Result<void> Front::check_action(ActionSet action, std::string_view name) const {
  for (const auto& [option, actions] : actions_) {
    if (option->count() == 0) continue;
    auto long_name = option->get_lnames().empty() ? std::string() : option->get_lnames().front();
    if ((actions & action) == 0)
      return fail(Error::usage(fmt::format("--{}: not an option of {}", long_name, name)));
    // `--no-x` asks for nothing.
    if (option->get_items_expected_max() == 0 && !option->as<bool>()) continue;
    for (const auto& row : kNotYet)
      if (row.option == long_name && (row.actions & action) != 0)
        return fail(Error::usage(fmt::format("--{}: not yet", long_name)));
  }
  return {};
}

std::string Front::help(const ActionRow* action) {
  std::string text = "Usage: bpfckpt ACTION [options]\n";
  if (action != nullptr) {
    text = fmt::format("Usage: bpfckpt {} [options]\n\n{}\n", action->name, action->help);
    for (auto* option : app_.get_options())
      if (!belongs(option, action->bit)) option->group("");
  } else {
    text += "\nActions:\n";
    for (const auto& row : kActions)
      if (row.bit != kReserved) text += fmt::format("  {:10} {}\n", row.name, row.help);
  }
  // The application's own formatter prints usage and positionals too; only its option groups are wanted.
  auto groups = OptionFormatter().make_groups(&app_, CLI::AppFormatMode::Normal);
  for (std::size_t at; (at = groups.find("\n\n\n")) != std::string::npos;) groups.erase(at, 1);
  text += groups;
  if (!text.ends_with('\n')) text += '\n';
  return text;
}

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

// "10", "64K", "3M", "2G"
Result<std::uint64_t> parse_size(std::string_view text) {
  std::uint64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit(end, text.data() + text.size());
  int shift = unit.empty()                 ? 0
              : unit == "K" || unit == "k" ? 10
              : unit == "M" || unit == "m" ? 20
              : unit == "G" || unit == "g" ? 30
                                           : -1;
  if (error != std::errc() || shift < 0 || number > (UINT64_MAX >> shift))
    return fail(Error::usage(fmt::format("{}: not a size (a number, with K, M or G)", text)));
  return number << shift;
}

// fd[N]:RES
Result<InheritedFd> parse_inherited(std::string_view text) {
  InheritedFd inherited{-1, {}};
  auto close = text.find("]:");
  if (text.starts_with("fd[") && close != std::string_view::npos) {
    auto number = text.substr(3, close - 3);
    auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), inherited.fd);
    if (error != std::errc() || end != number.data() + number.size()) inherited.fd = -1;
    inherited.resource = text.substr(close + 2);
  }
  if (inherited.fd < 0 || inherited.resource.empty())
    return fail(Error::usage(fmt::format("--inherit-fd {}: fd[N]:RES was expected", text)));
  return inherited;
}

Result<void> check_external(const Words& external) {
  for (const auto& text : external) {
    auto open = text.find('[');
    auto kind = std::string_view(text).substr(0, open);
    if (std::ranges::find(kExternalNotYet, kind) != std::end(kExternalNotYet))
      return fail(Error::usage(fmt::format("--external {}: not yet", text)));
    if (open == std::string::npos || text.find(']', open) == std::string::npos ||
        (kind != "file" && kind != "tty" && kind != "dev" && kind != "unix" && kind != "socket:"))
      return fail(Error::usage(
          fmt::format("--external {}: file[MNT_ID:INO], tty[RDEV:DEV], dev[MAJ/MIN]:NAME, unix[INO] or "
                      "socket:[INO] was expected",
                      text)));
  }
  return {};
}

CommonOptions common_options(const Settings& s, ActionSet action) {
  CommonOptions common;
  if (!s.images_dir.empty()) common.images_dir = s.images_dir;
  common.work_dir = s.work_dir.empty() ? common.images_dir : s.work_dir;
  common.log_file = !s.log_file.empty() || action == kCore ? s.log_file : s.output;
  if (!common.log_file.empty() && !common.log_file.starts_with('/'))
    common.log_file = common.work_dir + '/' + common.log_file;
  common.verbosity = s.verbosity;
  common.json = s.json;
  return common;
}

TreeOptions tree_options(const Settings& s) {
  static const std::map<std::string, CgroupMode> kModes = {
      {"none", CgroupMode::None}, {"props", CgroupMode::Props},   {"soft", CgroupMode::Soft},
      {"full", CgroupMode::Full}, {"strict", CgroupMode::Strict}, {"ignore", CgroupMode::Ignore}};
  TreeOptions tree;
  tree.action_scripts = s.action_script;
  tree.status_fd = s.status_fd;
  tree.display_stats = s.display_stats;
  tree.unprivileged = s.unprivileged;
  tree.network_lock = s.network_lock == "skip" ? NetworkLock::Skip : NetworkLock::Bpf;
  tree.cgroups = kModes.at(s.manage_cgroups);
  tree.cgroup_roots = s.cgroup_root;
  tree.root = s.root;
  return tree;
}

Result<DumpPolicy> dump_policy(const Settings& s) {
  DumpPolicy policy;
  policy.shell_job = s.shell_job;
  policy.file_locks = s.file_locks;
  policy.tcp_established = s.tcp_established;
  policy.tcp_close = s.tcp_close;
  policy.skip_in_flight = s.skip_in_flight;
  policy.network_lock = s.network_lock != "skip";
  policy.link_remap = s.link_remap;
  policy.ext_unix_sk = s.ext_unix_sk;
  policy.external = s.external;
  if (!s.ghost_limit.empty()) {
    TRY_ASSIGN(policy.ghost_limit_bytes, parse_size(s.ghost_limit), "--ghost-limit");
  }
  return policy;
}

// "ins", "fpu,ins", "all": what is named is compared, and nothing else.
Result<void> set_cpu_checks(const Words& lists, RestoreOptions& restore) {
  if (lists.empty()) return {};
  restore.cpu_instructions = restore.cpu_state = restore.cpu_model = false;
  for (const std::string& list : lists) {
    for (std::size_t at = 0; at <= list.size();) {
      const std::size_t end = std::min(list.find(',', at), list.size());
      const std::string word = list.substr(at, end - at);
      const bool all = word == "all";
      if (!all && word != "ins" && word != "fpu" && word != "cpu" && word != "none")
        return fail(Error::usage(fmt::format("--cpu-cap {}: not one of all, ins, fpu, cpu, none", word)));
      restore.cpu_instructions |= all || word == "ins";
      restore.cpu_state |= all || word == "fpu";
      restore.cpu_model |= all || word == "cpu";
      at = end + 1;
    }
  }
  return {};
}

Result<Command> dump_options(const Settings& s) {
  DumpOptions dump;
  dump.common = common_options(s, kDump);
  dump.tree = tree_options(s);
  if (s.tree == 0) return fail(Error::usage("--tree PID is needed"));
  if (s.leave_running && s.leave_stopped)
    return fail(Error::usage("--leave-running and --leave-stopped exclude each other"));
  if (s.timeout_s > UINT32_MAX / 1000) return fail(Error::usage("--timeout: too long"));
  dump.pid = s.tree;
  RestoreOptions checked;  // a checkpoint always says what CPU it is of
  TRY(set_cpu_checks(s.cpu_cap, checked));
  TRY_ASSIGN(dump.policy, dump_policy(s));
  dump.leave_running = s.leave_running;
  dump.leave_stopped = s.leave_stopped;
  dump.sync = s.sync;
  dump.timeout_ms = s.timeout_s * 1000;
  dump.freeze_cgroup = s.freeze_cgroup;
  return dump;
}

Result<Command> restore_options(const Settings& s) {
  RestoreOptions restore;
  restore.common = common_options(s, kRestore);
  restore.tree = tree_options(s);
  restore.plan = s.plan;
  restore.sibling = s.restore_sibling;
  restore.detached = s.restore_detached || s.restore_sibling;
  restore.leave_stopped = s.leave_stopped;
  restore.shell_job = s.shell_job;
  restore.file_locks = s.file_locks;
  restore.tcp_established = s.tcp_established;
  restore.tcp_close = s.tcp_close;
  restore.ext_unix_sk = s.ext_unix_sk;
  restore.link_remap = s.link_remap;
  restore.file_rwx_check = !s.skip_file_rwx_check;
  restore.file_validation = s.file_validation == "buildid" ? FileValidation::BuildId : FileValidation::Size;
  TRY(set_cpu_checks(s.cpu_cap, restore));
  for (const auto& text : s.inherit_fd) {
    TRY_ASSIGN(auto inherited, parse_inherited(text));
    restore.inherit_fds.push_back(std::move(inherited));
  }
  restore.external = s.external;
  if (!s.pidfile.empty())
    restore.pidfile = s.pidfile.starts_with('/') ? s.pidfile : restore.common.work_dir + '/' + s.pidfile;
  if (s.exec_cmd && s.command.empty())
    return fail(Error::usage("--exec-cmd: a command after `--` is needed"));
  restore.exec_cmd = s.command;
  return restore;
}

Result<Command> diagnose_options(const Settings& s) {
  DiagnoseOptions diagnose;
  diagnose.common = common_options(s, kDiagnose);
  if ((s.tree == 0) != s.all) return fail(Error::usage("either --tree PID or --all is needed"));
  diagnose.pid = s.tree;
  diagnose.all = s.all;
  diagnose.unsupported_only = s.unsupported;
  TRY_ASSIGN(diagnose.policy, dump_policy(s));
  return diagnose;
}

Result<Command> show_options(const Settings& s) {
  if (s.dot + s.html + s.json > 1) return fail(Error::usage("--dot, --html and --json exclude each other"));
  if ((s.dot || s.html) && s.pid != 0) return fail(Error::usage("--dot and --html show the whole tree"));
  ShowOptions show{.common = common_options(s, kShow), .pid = s.pid};
  if (s.dot) show.as = ShowOptions::As::Dot;
  if (s.html) show.as = ShowOptions::As::Html;
  return show;
}

Result<Command> options_of(ActionSet action, const Settings& s) {
  TRY(check_external(s.external));
  if (!s.exec_cmd && !s.command.empty()) return fail(Error::usage("words after `--` belong to --exec-cmd"));
  switch (action) {
    case kDump:
      return dump_options(s);
    case kRestore:
      return restore_options(s);
    case kDiagnose:
      return diagnose_options(s);
    case kCheck:
      return CheckOptions{common_options(s, kCheck), s.feature};
    case kClean:
      return CleanOptions{common_options(s, kClean), !s.images_dir.empty()};
    case kShow:
      return show_options(s);
    case kVerify:
      return VerifyOptions{common_options(s, kVerify)};
    case kCore:
      return CoreOptions{.common = common_options(s, kCore), .pid = s.pid, .output_path = s.output};
    default:
      return fail(Error::usage("not yet"));
  }
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
