// SPDX-License-Identifier: Apache-2.0
// Open files of /proc whose process was gone before the dump: they come back, show what they showed, and no
// process does. One was the leader of a session, in which a process lives on; another is open twice.
#include <sys/wait.h>

#include "harness/cr_memory.h"

namespace {

pid_t sleeper() {
  const pid_t pid = ::fork();
  REQUIRE(pid >= 0);
  if (pid == 0)
    for (;;) ::pause();
  return pid;
}

void end(pid_t pid) {
  int status = 0;
  REQUIRE(::kill(pid, SIGKILL) == 0 && ::waitpid(pid, &status, 0) == pid);
}

bool is_gone(pid_t pid) {
  return ::kill(pid, 0) < 0 && errno == ESRCH;
}

}  // namespace

void cr::test() {
  const pid_t pid = sleeper(), other = sleeper();
  const auto open = [](pid_t of, const char* name, int flags = O_RDONLY) {
    const int fd = ::open(("/proc/" + std::to_string(of) + "/" + name).c_str(), flags);
    REQUIRE(fd >= 0);
    return fd;
  };
  const int mounts = open(pid, "mountinfo"), status = open(pid, "status"), maps = open(pid, "maps");
  const int files = open(pid, "fd", O_RDONLY | O_DIRECTORY),
            twice = open(pid, "status", O_RDONLY | O_CLOEXEC);
  const int place = open(other, "stat", O_PATH);
  char buffer[4096];
  const ssize_t got = ::pread(mounts, buffer, sizeof(buffer), 0);
  REQUIRE(got > 100 && ::lseek(mounts, 7, SEEK_SET) == 7);
  const std::string before(buffer, 100);
  end(pid);
  end(other);
  checkpoint_here();
  CHECK(is_gone(pid) && is_gone(other));
  CHECK_EQ(::lseek(mounts, 0, SEEK_CUR), 7);
  CHECK(::pread(mounts, buffer, sizeof(buffer), 0) > 100);
  CHECK_EQ(std::string(buffer, 100), before);
  for (const int fd : {status, twice}) CHECK(::pread(fd, buffer, 10, 0) < 0 && errno == ESRCH);
  CHECK(::pread(maps, buffer, 10, 0) <= 0);
  CHECK(::openat(files, "0", O_RDONLY) < 0);
  CHECK((::fcntl(place, F_GETFL) & O_PATH) != 0);
  CHECK(::waitpid(-1, nullptr, WNOHANG) < 0 && errno == ECHILD);
  // Numbers that were taken for a moment raised no signal.
  sigset_t pending;
  CHECK(::sigpending(&pending) == 0 && ::sigismember(&pending, SIGCHLD) == 0);
}

cr::Options cr::options() {
  // stat(2) of them fails once their process is gone; the kernel may call them deleted or not, as it has
  // noticed.
  // Inodes of proc are made when they are looked for.
  return {.ignore = {"*/fd/*/link", "*/fd/*/object"}};
}
