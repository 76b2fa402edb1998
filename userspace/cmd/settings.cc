// SPDX-License-Identifier: Apache-2.0
#include "cmd/settings.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "cmd/not_yet.h"

namespace bpfckpt::cli {
namespace {

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

}  // namespace

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

}  // namespace bpfckpt::cli
