// SPDX-License-Identifier: Apache-2.0
#include "restore/terminal.h"

#include <signal.h>
#include <unistd.h>

namespace bpfckpt::restore {

bool give_terminal(int terminal, pid_t group) {
  // Fails where the terminal is not that of our session.
  if (terminal < 0 || ::tcgetpgrp(terminal) != ::getpgrp()) return false;
  return group == ::getpgrp() || ::tcsetpgrp(terminal, group) == 0;
}

void take_terminal(int terminal, pid_t group) {
  pid_t now = terminal < 0 ? -1 : ::tcgetpgrp(terminal);
  if (now < 0 || (now != group && ::kill(-now, 0) == 0)) return;
  // In the background that stops us, unless the signal is blocked
  // (drivers/tty/tty_jobctrl.c:__tty_check_change()).
  sigset_t set, old;
  sigemptyset(&set);
  sigaddset(&set, SIGTTOU);
  ::sigprocmask(SIG_BLOCK, &set, &old);
  (void)::tcsetpgrp(terminal, ::getpgrp());
  ::sigprocmask(SIG_SETMASK, &old, nullptr);
}

}  // namespace bpfckpt::restore
