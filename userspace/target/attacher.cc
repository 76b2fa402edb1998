// SPDX-License-Identifier: Apache-2.0
#include "target/attacher.h"

#include <sys/ptrace.h>
#include <unistd.h>

#include <cerrno>

namespace bpfckpt::target {
namespace {

// A task is seized in a few microseconds, one that executes a large program in some milliseconds.
constexpr long kPatienceNs = 20'000'000;

}  // namespace

Attacher::Attacher() {
  struct sigaction action{};
  action.sa_sigaction = leave;
  // The jump leaves the handler without returning: the signal must not stay blocked.
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  ::sigaction(SIGRTMIN, &action, &before_);
  sigevent event{};
  event.sigev_notify = SIGEV_THREAD_ID;
  event.sigev_signo = SIGRTMIN;
  event.sigev_value.sival_ptr = this;
  event._sigev_un._tid = ::gettid();
  has_timer_ = ::timer_create(CLOCK_MONOTONIC, &event, &timer_) == 0;
}

Attacher::~Attacher() {
  if (has_timer_) ::timer_delete(timer_);
  ::sigaction(SIGRTMIN, &before_, nullptr);
}

void Attacher::leave(int, siginfo_t* info, void*) {
  if (info->si_code != SI_TIMER) return;
  auto* self = static_cast<Attacher*>(info->si_value.sival_ptr);
  if (self->inside_ == 0) return;
  self->inside_ = 0;
  siglongjmp(self->out_, 1);
}

void Attacher::arm(long nanoseconds) {
  if (!has_timer_) return;
  const itimerspec time{.it_interval = {}, .it_value = {.tv_sec = 0, .tv_nsec = nanoseconds}};
  ::timer_settime(timer_, 0, &time, nullptr);
}

int Attacher::seize(pid_t tid, std::uint64_t ptrace_options) {
  if (sigsetjmp(out_, 0) != 0) return EINTR;
  inside_ = 1;
  arm(kPatienceNs);
  const int error = ::ptrace(PTRACE_SEIZE, tid, 0, ptrace_options) == 0 ? 0 : errno;
  inside_ = 0;
  arm(0);
  return error;
}

}  // namespace bpfckpt::target
