// SPDX-License-Identifier: Apache-2.0
#include "cmd/front.h"

#include <algorithm>

#include "cmd/not_yet.h"

namespace bpfckpt::cli {
namespace {

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

constexpr ActionSet kTrees = kDump | kRestore | kDiagnose;

}  // namespace

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

}  // namespace bpfckpt::cli
