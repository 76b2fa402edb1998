// SPDX-License-Identifier: Apache-2.0
// Probes of what descriptors are of, but for sockets (probes_sockets.cc).
#include <fcntl.h>
#include <linux/io_uring.h>
#include <linux/mount.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>

#include "kernel/probes.h"

namespace bpfckpt::kernel {
namespace {

// A mark for no group: the events are looked at first
// (fs/notify/fanotify/fanotify_user.c:do_fanotify_mark()).
Presence fanotify_knows(std::uint64_t events) {
  return complains(::syscall(SYS_fanotify_mark, -1, FAN_MARK_ADD, events, AT_FDCWD, nullptr), EBADF);
}

// Flags of IORING_SETUP_* can only be tried on a ring.
Presence makes_uring(std::uint32_t flags) {
  constexpr int kEntries = 4;  // those of two sizes need more than one
  io_uring_params params{};
  params.flags = flags;
  return gives_fd(::syscall(SYS_io_uring_setup, kEntries, &params));
}

}  // namespace

Presence probe_epoll() {
  return gives_fd(::epoll_create1(EPOLL_CLOEXEC));
}
Presence probe_eventfd() {
  return gives_fd(::eventfd(0, EFD_CLOEXEC));
}
Presence probe_signalfd() {
  sigset_t none;
  sigemptyset(&none);
  return gives_fd(::signalfd(-1, &none, SFD_CLOEXEC));
}
Presence probe_timerfd() {
  return gives_fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
}
Presence probe_timerfd_ticks() {
  const Fd fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
  if (!fd) return no_errno();
  const std::uint64_t none = 0;  // which is refused
  return complains(::ioctl(fd.get(), _IOW('T', 0, std::uint64_t) /*TFD_IOC_SET_TICKS*/, &none), EINVAL);
}
Presence probe_file_locks() {
  return complains(::flock(-1, LOCK_UN), EBADF);
}

Presence probe_aio() {
  return known(::syscall(SYS_io_setup, 0, nullptr));
}
Presence probe_aio_inherited() {
  return in_child([] {
    unsigned long ring = 0;
    if (::syscall(SYS_io_setup, 1, &ring) != 0) return errno;
    const pid_t child = ::fork();
    if (child < 0) return errno;
    // Of what is not mapped it says ENOMEM.
    if (child == 0) ::_exit(::msync(reinterpret_cast<void*>(ring), 1, MS_ASYNC) == 0 ? 0 : errno);
    int status = 0;
    return ::waitpid(child, &status, 0) == child ? WEXITSTATUS(status) : errno;
  });
}

Presence probe_io_uring() {
  return known(::syscall(SYS_io_uring_setup, 0, nullptr));
}
Presence probe_io_uring_no_array() {
  return makes_uring(1 << 16);  // IORING_SETUP_NO_SQARRAY
}
Presence probe_io_uring_hybrid() {
  return makes_uring(IORING_SETUP_IOPOLL | 1 << 17);  // IORING_SETUP_HYBRID_IOPOLL
}
Presence probe_io_uring_mixed_cqe() {
  return makes_uring(1 << 18);  // IORING_SETUP_CQE_MIXED
}
Presence probe_io_uring_mixed_sqe() {
  return makes_uring(1 << 19);  // IORING_SETUP_SQE_MIXED
}
Presence probe_io_uring_clock() {
  // The operation is looked at before the descriptor; -1 would be for those of no ring.
  constexpr int kRegisterClock = 29, kNoDescriptor = -2;
  return complains(::syscall(SYS_io_uring_register, kNoDescriptor, kRegisterClock, nullptr, 0), EBADF);
}

Presence probe_mqueue() {
  return known(::syscall(SYS_mq_open, "bpfckpt-no-such-queue", O_RDONLY, 0, nullptr));
}
Presence probe_sysvipc() {
  return known(::syscall(SYS_shmget, 0 /*IPC_PRIVATE*/, 0, 0));
}

Presence probe_inotify() {
  return gives_fd(::inotify_init1(IN_CLOEXEC));
}
Presence probe_inotify_next_watch() {
  const Fd fd(::inotify_init1(IN_CLOEXEC));
  if (!fd) return no_errno();
  return ::ioctl(fd.get(), _IOW('I', 0, std::int32_t) /*INOTIFY_IOC_SETNEXTWD*/, 1) == 0 ? yes() : no_errno();
}

Presence probe_fanotify() {
  return gives_fd(::syscall(SYS_fanotify_init, FAN_CLOEXEC, 0));
}
Presence probe_fanotify_decides() {
  return fanotify_knows(FAN_OPEN_PERM);
}
Presence probe_fanotify_preaccess() {
  return fanotify_knows(0x00100000);  // FAN_PRE_ACCESS
}

Presence probe_perf_events() {
  return known(::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0));
}
Presence probe_overlayfs() {
  return gives_fd(::syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC));
}
Presence probe_tun() {
  // No interface is made before TUNSETIFF.
  return gives_fd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
}

}  // namespace bpfckpt::kernel
