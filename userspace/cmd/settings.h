// SPDX-License-Identifier: Apache-2.0
// What the words of the command line said, before it is sorted into the structs of the actions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/actions.h"
#include "cmd/cli.h"

namespace bpfckpt::cli {

using Words = std::vector<std::string>;

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

// The action's own struct, checked. Error::Usage says which option is wrong and why.
Result<Command> options_of(ActionSet action, const Settings& settings);

}  // namespace bpfckpt::cli
