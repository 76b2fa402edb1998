// SPDX-License-Identifier: Apache-2.0
// Pidfds against what /proc/PID/fdinfo shows of them.
#include <sys/syscall.h>

#include "images/kinds/pidfd.pb.h"
#include "oracle/kind_files.h"

using namespace oracle;

TEST_CASE("pidfd") {
  Target target([] {
    auto open = [](pid_t pid) { return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)); };
    ::dup2(open(::getpid()), 100);
    ::dup2(open(::getppid()), 101);
    for (int i = 0; i < 2; ++i) {
      const pid_t child = ::fork();
      if (child == 0) ::_exit(1);
      ::dup2(open(child), 102 + i);
      siginfo_t info;
      ::waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | (i == 0 ? WNOWAIT : 0));
    }
  });
  for_each<bpfckpt::pb::Pidfd>(target, "pidfd", [&](const auto& pidfd, Fields& fields) {
    CHECK((pidfd.dead() ? -1 : static_cast<long>(pidfd.pid())) == std::stol(fields["Pid"]));
    CHECK(pidfd.outside() == (pidfd.pid() == static_cast<std::uint32_t>(::getpid())));
  });
}
