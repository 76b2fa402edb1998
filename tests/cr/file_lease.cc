// SPDX-License-Identifier: Apache-2.0
// Leases: of which type, that they still stand in the way, whom the signal goes to and which descriptor it
// names; one that a child has, too; and one whose description has no owner.
#include <signal.h>

#include "harness/cr_memory.h"

namespace {

using namespace cr;

// Somebody opens the file against the lease; what the holder is told.
int break_lease(const char* name, int flags, int signal) {
  CHECK(::open((directory() + "/" + name).c_str(), flags | O_NONBLOCK) < 0 && errno == EWOULDBLOCK);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  const timespec none{0, 0};
  siginfo_t info{};
  if (::sigtimedwait(&set, &info, &none) != signal) return -1;
  return info.si_fd;
}

}  // namespace

void cr::test() {
  const int signal = SIGRTMIN + 3;
  sigset_t blocked;
  sigemptyset(&blocked);
  sigaddset(&blocked, signal);
  ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
  for (const char* name : {"read", "write", "inherited", "nobody"}) ::close(make_file(name, "content"));
  auto open = [](const char* name, int flags) {
    const int fd = ::open((directory() + "/" + name).c_str(), flags);
    REQUIRE(fd >= 0);
    return fd;
  };
  const int first = open("read", O_RDONLY), read = ::dup(first);
  const int write = open("write", O_RDWR), inherited = open("inherited", O_RDONLY);
  const int nobody = open("nobody", O_RDONLY);
  for (int fd : {read, write, inherited, nobody}) REQUIRE(::fcntl(fd, F_SETSIG, signal) == 0);
  REQUIRE(::fcntl(read, F_SETLEASE, F_RDLCK) == 0 && ::fcntl(write, F_SETLEASE, F_WRLCK) == 0);
  REQUIRE(::fcntl(inherited, F_SETLEASE, F_WRLCK) == 0 && ::fcntl(nobody, F_SETLEASE, F_RDLCK) == 0);
  REQUIRE(::fcntl(nobody, F_SETOWN, 0) == 0);
  Child child([&] {
    wait_released();
    CHECK_EQ(::fcntl(inherited, F_GETLEASE), F_WRLCK);
    CHECK_EQ(::fcntl(inherited, F_SETLEASE, F_UNLCK), 0);
  });
  await_waiting(1);
  checkpoint_here();
  CHECK_EQ(::fcntl(read, F_GETLEASE), F_RDLCK);
  CHECK_EQ(::fcntl(write, F_GETLEASE), F_WRLCK);
  CHECK_EQ(::fcntl(nobody, F_GETLEASE), F_RDLCK);
  CHECK_EQ(::fcntl(nobody, F_GETOWN), 0);
  CHECK_EQ(::fcntl(read, F_GETOWN), ::getpid());
  child.join();
  CHECK_EQ(::fcntl(inherited, F_GETLEASE), F_UNLCK);

  ::close(open("read", O_RDONLY));  // not against it
  CHECK_EQ(break_lease("read", O_WRONLY, signal), read);
  CHECK_EQ(::fcntl(first, F_GETLEASE), F_UNLCK);
  CHECK_EQ(::fcntl(first, F_SETLEASE, F_UNLCK), 0);
  ::close(open("read", O_WRONLY | O_NONBLOCK));
  CHECK_EQ(break_lease("write", O_RDONLY, signal), write);
  CHECK_EQ(::fcntl(write, F_GETLEASE), F_RDLCK);
  CHECK_EQ(::fcntl(write, F_SETLEASE, F_UNLCK), 0);
  ::close(open("write", O_WRONLY | O_NONBLOCK));
  CHECK_EQ(break_lease("nobody", O_WRONLY, signal), -1);
  ::close(open("inherited", O_WRONLY | O_NONBLOCK));
}

cr::Options cr::options() {
  return {.dump_args = {"-l"}, .restore_args = {"-l"}};
}
