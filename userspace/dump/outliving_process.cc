// SPDX-License-Identifier: Apache-2.0
#include "dump/outliving_process.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace bpfckpt::dump {

// No exit signal: nobody else's wait() sees it.
Result<void> OutlivingProcess::fork() {
  int pidfd = -1;
  clone_args args{};
  args.flags = CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(&pidfd);
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) return fail(Error::system("clone3"));
  pid_ = static_cast<pid_t>(pid);
  if (pid != 0) pidfd_.reset(pidfd);
  return {};
}

// What is sent to bpfckpt's group does not reach it.
void OutlivingProcess::leave_group() {
  ::setsid();
  for (int signal = 1; signal < 32; signal++) ::signal(signal, SIG_IGN);
}

void OutlivingProcess::keep_only(std::initializer_list<int> descriptors) {
  constexpr unsigned kNone = ~0U;
  for (unsigned first = 0;;) {
    unsigned next = kNone;
    for (const int fd : descriptors)
      if (static_cast<unsigned>(fd) >= first) next = std::min(next, static_cast<unsigned>(fd));
    if (next > first) ::close_range(first, next - 1, 0);
    if (next == kNone) return;
    first = next + 1;
  }
}

void OutlivingProcess::wait() const {
  siginfo_t info;
  while (::waitid(P_PIDFD, static_cast<id_t>(pidfd_.get()), &info, WEXITED | __WALL) != 0 && errno == EINTR)
    continue;
}

}  // namespace bpfckpt::dump
