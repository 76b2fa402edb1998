// SPDX-License-Identifier: Apache-2.0
// What each action is told: one plain struct an action, filled by the command line (cmd/cli.h) or by any
// other front, then passed down const. Everything is checked and resolved here: no action looks at argv, at
// the environment or at a configuration file.
//
// `show`, `verify` and `core` keep their structs next to their code (cmd/show.h, cmd/verify.h, cmd/core.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kinds/policy.h"

namespace bpfckpt {

// What every action has.
struct CommonOptions {
  std::string images_dir = ".";  // must exist
  std::string work_dir = ".";    // where logs, pidfiles and stats go; the images directory unless said
  std::string log_file;          // empty: standard error; relative names are already put below work_dir
  int verbosity = 2;             // 0 nothing, 1 errors, 2 warnings, 3 info, 4 debug
  bool json = false;             // reports and errors as JSON
};

enum class CgroupMode { None, Props, Soft, Full, Strict, Ignore };
enum class NetworkLock { Bpf, Skip };
enum class FileValidation { Size, BuildId };

// What dump and restore have in common.
struct TreeOptions {
  std::vector<std::string> action_scripts;  // programs run at the stages, in this order
  int status_fd = -1;                       // a 0 byte is written here, and it is closed, when ready
  bool display_stats = false;
  bool unprivileged = false;
  NetworkLock network_lock = NetworkLock::Bpf;
  CgroupMode cgroups = CgroupMode::Soft;
  std::vector<std::string> cgroup_roots;  // "[CTL:]PATH"
  std::string root;                       // --root
};

struct DumpOptions {
  CommonOptions common;
  TreeOptions tree;
  std::uint32_t pid = 0;  // the root of the tree
  DumpPolicy policy;
  bool leave_running = false;
  bool leave_stopped = false;         // never together with leave_running
  bool sync = true;                   // the images are on the disk before the tree is killed
  std::uint32_t timeout_ms = 10'000;  // for freezing; 0: no limit
  std::string freeze_cgroup;
};

// --inherit-fd fd[N]:RES
struct InheritedFd {
  int fd;  // open in bpfckpt's own table
  std::string
      resource;  // "pipe:[ino]", "socket:[ino]", "file[mnt:ino]", "tty[rdev:dev]", "/memfd:name" or a path
};

struct RestoreOptions {
  CommonOptions common;
  TreeOptions tree;
  bool plan = false;           // print the plan, make nothing
  bool detached = false;       // return when the tree runs
  bool sibling = false;        // implies detached
  bool leave_stopped = false;  // SIGSTOP-like, no tracer
  bool shell_job = false;
  bool file_locks = false;
  bool tcp_established = false;
  bool tcp_close = false;
  bool ext_unix_sk = false;
  bool link_remap = false;
  bool file_rwx_check = true;  // --skip-file-rwx-check
  FileValidation file_validation = FileValidation::Size;
  // --cpu-cap: what of the CPU must be here that was there; without it instructions and registers.
  bool cpu_instructions = true;
  bool cpu_state = true;
  bool cpu_model = false;
  std::vector<InheritedFd> inherit_fds;
  std::vector<std::string> external;  // "dev[MAJ/MIN]:NAME", ...
  std::string pidfile;                // empty: none; already put below work_dir
  std::vector<std::string> exec_cmd;  // empty: none; else argv of the tree's parent
};

struct DiagnoseOptions {
  CommonOptions common;
  std::uint32_t pid = 0;
  bool all = false;               // every process of the machine; then pid is 0
  bool unsupported_only = false;  // --unsupported
  unsigned width = 0;             // of the terminal; 0: lines are as long as they are
  bool colour = false;
  DumpPolicy policy;
};

struct CheckOptions {
  CommonOptions common;
  std::vector<std::string> features;  // empty: all
};

struct CleanOptions {
  CommonOptions common;
  bool images = false;  // -D was given: what is unfinished in common.images_dir goes too
};

}  // namespace bpfckpt
