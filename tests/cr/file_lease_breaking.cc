// SPDX-License-Identifier: Apache-2.0
// Leases that are being broken, by a reader and by a writer that wait for it: the holder was told once and is
// not told again, whether it has seen that signal or not; who waits goes on waiting until the holder yields.
#include <signal.h>

#include "harness/cr_memory.h"

namespace {

sigset_t only(int signal) {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal);
  return set;
}

int told(int signal) {
  const sigset_t set = only(signal);
  const timespec none{0, 0};
  int times = 0;
  siginfo_t info{};
  while (::sigtimedwait(&set, &info, &none) == signal) times++;
  return times;
}

}  // namespace

void cr::test() {
  const int read_signal = SIGRTMIN + 3, write_signal = SIGRTMIN + 4;
  for (int signal : {read_signal, write_signal}) {
    const sigset_t set = only(signal);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
  }
  const int for_reader = make_file("for-reader"), for_writer = make_file("for-writer");
  REQUIRE(::fcntl(for_reader, F_SETSIG, read_signal) == 0 &&
          ::fcntl(for_writer, F_SETSIG, write_signal) == 0);
  REQUIRE(::fcntl(for_reader, F_SETLEASE, F_WRLCK) == 0 && ::fcntl(for_writer, F_SETLEASE, F_WRLCK) == 0);
  Child reader([] { CHECK(::open((directory() + "/for-reader").c_str(), O_RDONLY) >= 0); });
  Child writer([] { CHECK(::open((directory() + "/for-writer").c_str(), O_WRONLY) >= 0); });
  wait_in_syscall(reader.pid(), SYS_openat);
  wait_in_syscall(writer.pid(), SYS_openat);
  REQUIRE(told(read_signal) == 1);  // the other signal stays pending
  checkpoint_here();
  CHECK_EQ(told(read_signal), 0);
  CHECK_EQ(told(write_signal), 1);
  wait_in_syscall(reader.pid(), SYS_openat);
  wait_in_syscall(writer.pid(), SYS_openat);
  CHECK_EQ(::fcntl(for_reader, F_GETLEASE), F_RDLCK);
  CHECK_EQ(::fcntl(for_writer, F_GETLEASE), F_UNLCK);
  CHECK_EQ(told(read_signal) + told(write_signal), 0);
  CHECK_EQ(::fcntl(for_reader, F_GETOWN), ::getpid());
  CHECK_EQ(::fcntl(for_reader, F_SETLEASE, F_UNLCK), 0);
  reader.join();
  CHECK_EQ(::fcntl(for_writer, F_SETLEASE, F_UNLCK), 0);
  writer.join();
}

cr::Options cr::options() {
  return {.dump_args = {"-l"}, .restore_args = {"-l"}};
}
