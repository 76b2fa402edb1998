// SPDX-License-Identifier: Apache-2.0
#include "cmd/restore.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/stopwatch.h"
#include "cmd/stages.h"
#include "collect/collector.h"
#include "restore/restore.h"
#include "restore/terminal.h"

namespace bpfckpt {
namespace {

Result<void> write_pidfile(const std::string& path, pid_t pid) {
  if (path.empty()) return {};
  Fd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) return fail(Error::system(fmt::format("pidfile {}", path)));
  std::string text = std::to_string(pid);
  if (::write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    return fail(Error::system(fmt::format("pidfile {}", path)));
  return {};
}

// Ends as the root task did. A job that has our terminal stops us with it, so that our shell sees it stop,
// and goes on when we are told to.
Result<int> wait_for(const restore::Outcome& outcome) {
  const pid_t root = outcome.root;
  const pid_t group = ::getpgid(root);
  int terminal = -1;
  for (int fd = STDIN_FILENO; outcome.has_terminal && terminal < 0 && fd <= STDERR_FILENO; fd++)
    if (::isatty(fd)) terminal = fd;
  int status = 0;
  for (;;) {
    if (::waitpid(root, &status, __WALL | (outcome.has_terminal ? WUNTRACED : 0)) != root) {
      if (errno != EINTR) return fail(Error::system(fmt::format("wait for pid {}", root)));
      continue;
    }
    if (!WIFSTOPPED(status)) break;
    ::raise(SIGSTOP);
    restore::give_terminal(terminal, group);
    ::kill(-group, SIGCONT);
  }
  restore::take_terminal(terminal, group);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace

Result<int> run_restore(const RestoreOptions& options, std::ostream& out) {
  Stopwatch total;
  restore::Options restore;
  restore.images_dir = options.common.images_dir;
  restore.policy.shell_job = options.shell_job;
  restore.policy.parent_ends = options.detached && !options.sibling;
  for (const InheritedFd& inherited : options.inherit_fds)
    restore.policy.inherited.emplace(inherited.resource, inherited.fd);
  restore.sibling = options.sibling;
  restore.leave_stopped = options.leave_stopped;
  restore.file_rwx_check = options.file_rwx_check;
  restore.tcp_close = options.tcp_close;
  restore.network_lock = options.tree.network_lock == NetworkLock::Bpf;
  restore.cpu = {options.cpu_instructions, options.cpu_state, options.cpu_model};
  {
    TRY_ASSIGN(Collector collector, Collector::open());
    TRY_ASSIGN(restore.special_mappings, collector.own_special_mappings());
  }
  if (options.plan) {
    TRY_ASSIGN(std::string text, restore::plan_text(restore));
    out << text;
    return 0;
  }
  bool pidfile_written = false;
  restore.at_stage = [&](const char* stage, pid_t root) -> Result<void> {
    TRY(run_action_scripts(options.tree.action_scripts, stage, options.common.images_dir, root));
    // Before anything runs: who reads the file when the tree has done something finds it.
    if (root != 0 && !pidfile_written) {
      TRY(write_pidfile(options.pidfile, root));
      pidfile_written = true;
    }
    return {};
  };
  restore::Outcome outcome;
  {
    MoreDescriptors more;
    TRY_ASSIGN(outcome, restore::restore(restore));
  }
  if (options.tree.display_stats) {
    if (options.common.json)
      out << fmt::format("{{\"total_us\": {}, \"root_pid\": {}}}\n", total.us(), outcome.root);
    else
      out << fmt::format("restored pid {} in {:.2f} ms\n", outcome.root, total.us() / 1e3);
    out.flush();
  }
  TRY(signal_ready(options.tree.status_fd));
  if (!options.exec_cmd.empty()) {
    std::vector<char*> argv;
    for (const std::string& word : options.exec_cmd) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    return fail(Error::system(fmt::format("--exec-cmd {}", options.exec_cmd.front())));
  }
  if (options.detached || options.sibling) return 0;
  return wait_for(outcome);
}

}  // namespace bpfckpt
