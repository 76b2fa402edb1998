// SPDX-License-Identifier: Apache-2.0
#include "dump/lock_guardian.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace bpfckpt::dump {
namespace {

// What was begun to keep the lock (dump/last_step.h) is done by then, whether bpfckpt lives or not.
constexpr timespec kLastStep{0, 200'000'000};

// Others wait for the end of what we were forked with.
void close_all_but(int a, int b) {
  const auto low = static_cast<unsigned>(std::min(a, b)), high = static_cast<unsigned>(std::max(a, b));
  if (low > 0) ::close_range(0, low - 1, 0);
  if (low + 1 < high) ::close_range(low + 1, high - 1, 0);
  ::close_range(high + 1, ~0U, 0);
}

// System calls only: this is the child of a process that may have threads.
[[noreturn]] void serve(int alive, int own_switch, pid_t parent) {
  close_all_but(alive, own_switch);
  char byte;
  while (::read(alive, &byte, 1) < 0 && errno == EINTR) continue;
  if (::getppid() != parent) ::nanosleep(&kLastStep, nullptr);
  kernel::end_unless_kept(own_switch);
  ::_exit(0);
}

}  // namespace

Result<LockGuardian> LockGuardian::start(const kernel::NetworkLock& lock) {
  LockGuardian guardian;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail(Error::system("pipe2"));
  const Fd theirs(ends[0]);
  guardian.alive_.reset(ends[1]);
  guardian.switch_ = lock.own_switch();
  const pid_t parent = ::getpid();
  TRY_ASSIGN(guardian.process_, OutlivingProcess::start([&] { serve(ends[0], lock.own_switch(), parent); }));
  return guardian;
}

LockGuardian::~LockGuardian() {
  if (!process_) return;
  alive_.reset();
  process_.wait();
}

}  // namespace bpfckpt::dump
