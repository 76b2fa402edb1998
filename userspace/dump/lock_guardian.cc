// SPDX-License-Identifier: Apache-2.0
#include "dump/lock_guardian.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

namespace bpfckpt::dump {
namespace {

// System calls only: this is the child of a process that may have threads. Whoever bpfckpt leaves behind to
// keep the lock (dump/last_step.h) has the other end as well: this one comes after it.
[[noreturn]] void serve(int alive, int own_switch) {
  char byte;
  while (::read(alive, &byte, 1) < 0 && errno == EINTR) continue;
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
  TRY_ASSIGN(guardian.process_, OutlivingProcess::start([&] {
               OutlivingProcess::keep_only({ends[0], lock.own_switch()});
               serve(ends[0], lock.own_switch());
             }));
  return guardian;
}

LockGuardian::~LockGuardian() {
  if (!process_) return;
  alive_.reset();
  process_.wait();
}

}  // namespace bpfckpt::dump
