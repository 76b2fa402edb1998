// SPDX-License-Identifier: Apache-2.0
#include "target/syscall_name.h"

#include <fmt/format.h>
#include <sys/syscall.h>

#include <array>
#include <utility>

#include "parasite/protocol.h"

namespace bpfckpt::target {
namespace {

// The calls that batches make: batches are written by us, so a call that is not here is a line to add, no
// error.
#define NAME(call) {SYS_##call, #call}
constexpr std::array kNames = std::to_array<std::pair<long, const char*>>({
    NAME(bind),
    NAME(brk),
    NAME(capget),
    NAME(capset),
    NAME(chdir),
    NAME(chroot),
    NAME(clock_gettime),
    NAME(clone3),
    NAME(close),
    NAME(close_range),
    NAME(connect),
    NAME(dup),
    NAME(dup3),
    NAME(epoll_create1),
    NAME(epoll_ctl),
    NAME(eventfd2),
    NAME(execveat),
    NAME(exit),
    NAME(exit_group),
    NAME(fallocate),
    NAME(fchdir),
    NAME(fcntl),
    NAME(fstat),
    NAME(ftruncate),
    NAME(futex),
    NAME(getcwd),
    NAME(getegid),
    NAME(geteuid),
    NAME(getgid),
    NAME(getgroups),
    NAME(getitimer),
    NAME(getpgid),
    NAME(getpid),
    NAME(getppid),
    NAME(getpriority),
    NAME(getresgid),
    NAME(getresuid),
    NAME(getrlimit),
    NAME(getsid),
    NAME(getsockopt),
    NAME(gettid),
    NAME(getuid),
    NAME(inotify_add_watch),
    NAME(inotify_init1),
    NAME(ioctl),
    NAME(ioprio_get),
    NAME(ioprio_set),
    NAME(kill),
    NAME(lseek),
    NAME(madvise),
    NAME(mbind),
    NAME(membarrier),
    NAME(memfd_create),
    NAME(mlock),
    NAME(mlock2),
    NAME(mlockall),
    NAME(mmap),
    NAME(mprotect),
    NAME(mremap),
    NAME(msync),
    NAME(munlock),
    NAME(munmap),
    NAME(nanosleep),
    NAME(openat),
    NAME(personality),
    NAME(pidfd_getfd),
    NAME(pidfd_open),
    NAME(pidfd_send_signal),
    NAME(pipe2),
    NAME(prctl),
    NAME(pread64),
    NAME(preadv),
    NAME(prlimit64),
    NAME(process_vm_readv),
    NAME(pwrite64),
    NAME(pwritev),
    NAME(read),
    NAME(readv),
    NAME(recvmsg),
    NAME(rseq),
    NAME(rt_sigaction),
    NAME(rt_sigpending),
    NAME(rt_sigprocmask),
    NAME(rt_sigqueueinfo),
    NAME(rt_tgsigqueueinfo),
    NAME(sched_setaffinity),
    NAME(sched_setattr),
    NAME(sched_setscheduler),
    NAME(seccomp),
    NAME(sendmsg),
    NAME(set_robust_list),
    NAME(set_tid_address),
    NAME(setfsgid),
    NAME(setfsuid),
    NAME(setgid),
    NAME(setgroups),
    NAME(setitimer),
    NAME(setns),
    NAME(setpgid),
    NAME(setpriority),
    NAME(setregid),
    NAME(setresgid),
    NAME(setresuid),
    NAME(setreuid),
    NAME(setsid),
    NAME(setsockopt),
    NAME(setuid),
    NAME(shmat),
    NAME(sigaltstack),
    NAME(signalfd4),
    NAME(socket),
    NAME(socketpair),
    NAME(splice),
    NAME(statx),
    NAME(tee),
    NAME(tgkill),
    NAME(timer_create),
    NAME(timer_settime),
    NAME(timerfd_create),
    NAME(timerfd_settime),
    NAME(umask),
    NAME(unshare),
    NAME(userfaultfd),
    NAME(vmsplice),
    NAME(wait4),
    NAME(waitid),
    NAME(write),
    NAME(writev),
});
#undef NAME

}  // namespace

std::string syscall_name(long nr) {
  if (nr == parasite::kOpClone) return "clone3";
  if (nr == parasite::kOpLeave) return "leave";
  for (const auto& [number, name] : kNames)
    if (number == nr) return name;
  return fmt::format("system call {}", nr);
}

}  // namespace bpfckpt::target
