// SPDX-License-Identifier: Apache-2.0
#include "dump/last_step.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

namespace bpfckpt::dump {
namespace {

// What bpfckpt sends; what was sent is there also when it is dead.
constexpr char kCommit = 'c', kEndConnections = 'e', kDone = 'd';

void kill_all(const std::vector<Fd>& processes) {
  for (const Fd& process : processes) ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
  // A descriptor of a process that is no more than a zombie: what it had is closed (kernel/exit.c:do_exit()).
  for (const Fd& process : processes) {
    pollfd end{process.get(), POLLIN, 0};
    while (::poll(&end, 1, -1) < 0 && errno == EINTR) continue;
  }
}

[[noreturn]] void see_to_it(int orders, const std::vector<Fd>& processes, kernel::NetworkLock& lock,
                            std::uint64_t lock_id, HeldSockets& sockets) {
  bool committed = false, connections = true;
  for (char order = 0; ::read(orders, &order, 1) == 1;) {
    if (order == kDone) ::_exit(0);
    if (order == kCommit) committed = true;
    if (order == kEndConnections) {
      sockets.end();
      connections = false;
    }
    if (::send(orders, &order, 1, MSG_NOSIGNAL) != 1) break;
  }
  // bpfckpt is dead.
  if (!committed) {
    (void)lock.remove();
    kernel::NetworkLock::remove_pinned(lock_id);
  } else if (connections) {
    kill_all(processes);
    sockets.end();
  }
  ::_exit(0);
}

}  // namespace

Result<LastStep> LastStep::begin(std::span<const pid_t> processes, kernel::NetworkLock& lock,
                                 std::uint64_t lock_id, HeldSockets& sockets) {
  LastStep step;
  std::vector<Fd> pidfds;
  for (const pid_t pid : processes) {
    pidfds.emplace_back(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    if (!pidfds.back()) return fail(Error::system(fmt::format("pidfd_open({})", pid)));
  }
  int orders[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, orders) != 0)
    return fail(Error::system("socketpair"));
  const Fd its_end(orders[0]);
  step.orders_.reset(orders[1]);
  TRY_ASSIGN(step.process_, OutlivingProcess::start([&] {
               // The end that tells of bpfckpt's death is bpfckpt's alone.
               ::close(orders[1]);
               see_to_it(orders[0], pidfds, lock, lock_id, sockets);
             }));
  return step;
}

LastStep::~LastStep() {
  if (!process_) return;
  if (::send(orders_.get(), &kDone, 1, MSG_NOSIGNAL) != 1) orders_.reset();
  process_.wait();
}

Result<void> LastStep::order(char what) {
  char answer = 0;
  ssize_t n = -1;
  if (::send(orders_.get(), &what, 1, MSG_NOSIGNAL) == 1) do
      n = ::read(orders_.get(), &answer, 1);
    while (n < 0 && errno == EINTR);
  if (n != 1) return fail(Error::system("the process that sees to the end of the dump is gone", EPIPE));
  return {};
}

Result<void> LastStep::commit() {
  return order(kCommit);
}

Result<void> LastStep::end_connections() {
  return order(kEndConnections);
}

}  // namespace bpfckpt::dump
