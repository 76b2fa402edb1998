// SPDX-License-Identifier: Apache-2.0
#include "cmd/stages.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace bpfckpt {
namespace {

Result<void> run_script(const std::string& script, const std::vector<std::string>& variables,
                        const char* stage) {
  std::vector<char*> envp;
  for (char** v = environ; *v != nullptr; v++) envp.push_back(*v);
  for (const std::string& v : variables) envp.push_back(const_cast<char*>(v.c_str()));
  envp.push_back(nullptr);
  char* argv[] = {const_cast<char*>(script.c_str()), nullptr};
  pid_t pid = 0;
  if (int err = ::posix_spawn(&pid, script.c_str(), nullptr, nullptr, argv, envp.data()); err != 0)
    return fail(Error::system(fmt::format("action script {}", script), err));
  int status = 0;
  if (::waitpid(pid, &status, 0) != pid) return fail(Error::system(fmt::format("action script {}", script)));
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(
      Error::conflict(fmt::format("action script {} at {}: {}", script, stage,
                                  WIFEXITED(status) ? fmt::format("exit status {}", WEXITSTATUS(status))
                                                    : fmt::format("signal {}", WTERMSIG(status)))));
}

}  // namespace

Result<void> run_action_scripts(const std::vector<std::string>& scripts, const char* stage,
                                const std::string& images_dir, pid_t root) {
  if (scripts.empty()) return {};
  std::vector<std::string> variables{fmt::format("CRTOOLS_SCRIPT_ACTION={}", stage),
                                     "CRTOOLS_IMAGE_DIR=" + images_dir};
  if (root != 0) variables.push_back(fmt::format("CRTOOLS_INIT_PID={}", root));
  for (const std::string& script : scripts) TRY(run_script(script, variables, stage));
  return {};
}

MoreDescriptors::MoreDescriptors() {
  if (::getrlimit(RLIMIT_NOFILE, &before_) != 0) return;
  const rlimit most{before_.rlim_max, before_.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &most);
}

MoreDescriptors::~MoreDescriptors() {
  if (before_.rlim_max != 0) ::setrlimit(RLIMIT_NOFILE, &before_);
}

Result<void> signal_ready(int status_fd) {
  if (status_fd < 0) return {};
  char zero = 0;
  if (::write(status_fd, &zero, 1) != 1) return fail(Error::system("--status-fd"));
  ::close(status_fd);
  return {};
}

}  // namespace bpfckpt
