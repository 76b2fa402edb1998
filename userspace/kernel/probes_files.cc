// SPDX-License-Identifier: Apache-2.0
// Probes of what descriptors are of.
#include <fcntl.h>
#include <linux/mount.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kernel/probes.h"

namespace bpfckpt::kernel {

Presence probe_aio() {
  return known(::syscall(SYS_io_setup, 0, nullptr));
}

Presence probe_io_uring() {
  return known(::syscall(SYS_io_uring_setup, 0, nullptr));
}

Presence probe_mqueue() {
  return known(::syscall(SYS_mq_open, "bpfckpt-no-such-queue", O_RDONLY, 0, nullptr));
}

Presence probe_sysvipc() {
  return known(::syscall(SYS_shmget, 0 /*IPC_PRIVATE*/, 0, 0));
}

Presence probe_inotify() {
  return gives_fd(::syscall(SYS_inotify_init1, O_CLOEXEC));
}

Presence probe_fanotify() {
  return gives_fd(::syscall(SYS_fanotify_init, 1 /*FAN_CLOEXEC*/, 0));
}

Presence probe_perf_events() {
  return known(::syscall(SYS_perf_event_open, nullptr, 0, -1, -1, 0));
}

Presence probe_overlayfs() {
  return gives_fd(::syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC));
}

Presence probe_tcp_repair() {
  constexpr int kTcpRepair = 19;  // include/uapi/linux/tcp.h
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  return ::setsockopt(fd.get(), IPPROTO_TCP, kTcpRepair, &on, sizeof on) == 0 ? yes() : no_errno();
}

}  // namespace bpfckpt::kernel
