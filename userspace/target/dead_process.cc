// SPDX-License-Identifier: Apache-2.0
#include "target/dead_process.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace bpfckpt::target {
namespace {

// In the child: calls of the kernel only.
[[noreturn]] void end(int wait_status) {
  if (!WIFSIGNALED(wait_status)) ::_exit(WEXITSTATUS(wait_status));
  int signal = WTERMSIG(wait_status);
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // no core
  struct sigaction standard{};
  standard.sa_handler = SIG_DFL;
  ::sigaction(signal, &standard, nullptr);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ::sigprocmask(SIG_UNBLOCK, &set, nullptr);
  ::kill(::getpid(), signal);
  ::_exit(0);  // it was none that kills
}

}  // namespace

Result<Fd> open_dead_process(int wait_status, unsigned pidfd_flags) {
  pid_t pid = ::fork();
  if (pid < 0) return fail(Error::system("fork"));
  if (pid == 0) end(wait_status);
  // Before it is reaped, which is when the kernel keeps the status for those who hold a pidfd.
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, pidfd_flags)));
  Result<Fd> opened = fd ? Result<Fd>(std::move(fd)) : fail(Error::system("pidfd_open"));
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) continue;
  return opened;
}

}  // namespace bpfckpt::target
