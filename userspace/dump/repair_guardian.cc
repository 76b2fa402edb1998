// SPDX-License-Identifier: Apache-2.0
#include "dump/repair_guardian.h"

#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "kinds/tcp.h"

namespace bpfckpt::dump {
namespace {

using Request = RepairGuardian::Request;

int set(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof value);
}

int borrow(const Request& request) {
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, request.pid, 0)));
  // PIDFD_THREAD, since 6.9: of a process whose leader has ended
  if (!pidfd) pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, request.pid, O_EXCL)));
  return pidfd ? static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), request.fd, 0)) : -1;
}

void switch_off(int fd, const Request& request) {
  set(fd, IPPROTO_TCP, TCP_REPAIR, kinds::kRepairOffQuietly);
  // TCP_REPAIR has made it SK_FORCE_REUSE, and then SK_NO_REUSE (net/ipv4/tcp.c:do_tcp_setsockopt()).
  if (request.reuse != 0) set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
}

// System calls only: this is the child of a process that may have threads.
void serve_one(Request& request, std::byte* buffer) {
  request.error = 0;
  request.len_bytes = 0;
  Fd fd(borrow(request));
  if (!fd || set(fd.get(), IPPROTO_TCP, TCP_REPAIR, kinds::kRepairOn) != 0) {
    request.error = errno;
    return;
  }
  ssize_t len = -1;
  if (set(fd.get(), IPPROTO_TCP, TCP_REPAIR_QUEUE, kinds::kSendQueue) == 0)
    len = ::recv(fd.get(), buffer + request.offset, request.room_bytes, MSG_PEEK | MSG_DONTWAIT);
  int unsent = 0;
  if (len >= 0 && ::ioctl(fd.get(), SIOCOUTQNSD, &unsent) != 0) len = -1;
  const int error = errno;
  switch_off(fd.get(), request);
  if (len < 0) {
    request.error = error;
    return;
  }
  request.len_bytes = static_cast<std::uint64_t>(len);
  request.unsent = static_cast<std::uint64_t>(unsent);
}

[[noreturn]] void serve(int commands, int answers, Request* requests, std::byte* buffer) {
  std::uint32_t count = 0;
  while (::read(commands, &count, sizeof count) == sizeof count) {
    for (std::uint32_t i = 0; i < count; i++) serve_one(requests[i], buffer);
    const char done = 0;
    if (::write(answers, &done, 1) != 1) break;
  }
  ::_exit(0);
}

}  // namespace

Result<RepairGuardian> RepairGuardian::start() {
  RepairGuardian guardian;
  const std::size_t len_bytes = kHeadBytes + kBufferBytes;
  guardian.memory_ = Mapping(
      ::mmap(nullptr, len_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
      len_bytes);
  if (guardian.memory_.data() == MAP_FAILED) return fail(Error::system("memory for queues"));
  int commands[2], answers[2];
  // No pipe: who writes to one that nobody reads dies of it (SIGPIPE), and with a guardian that was killed we
  // would be in the middle of a dump.
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, commands) != 0)
    return fail(Error::system("socketpair"));
  Fd commands_out(commands[0]);
  guardian.commands_.reset(commands[1]);
  if (::pipe2(answers, O_CLOEXEC) != 0) return fail(Error::system("pipe2"));
  Fd answers_in(answers[1]);
  guardian.answers_.reset(answers[0]);

  TRY_ASSIGN(guardian.process_, OutlivingProcess::start([&] {
               // The end that tells of bpfckpt's death is bpfckpt's alone.
               OutlivingProcess::keep_only({commands[0], answers[1]});
               auto* memory = guardian.memory_.data();
               serve(commands[0], answers[1], reinterpret_cast<Request*>(memory), memory + kHeadBytes);
             }));
  return guardian;
}

RepairGuardian::~RepairGuardian() {
  if (!process_) return;
  commands_.reset();
  process_.wait();
}

std::span<RepairGuardian::Request> RepairGuardian::requests() {
  return {reinterpret_cast<Request*>(memory_.data()), kMostRequests};
}

void RepairGuardian::heal(std::size_t count) {
  for (const Request& request : requests().first(count))
    if (Fd fd(borrow(request)); fd) switch_off(fd.get(), request);
}

Result<void> RepairGuardian::read(std::size_t count) {
  const auto command = static_cast<std::uint32_t>(count);
  char done = 0;
  if (::send(commands_.get(), &command, sizeof command, MSG_NOSIGNAL) == sizeof command) {
    ssize_t n = 0;
    do n = ::read(answers_.get(), &done, 1);
    while (n < 0 && errno == EINTR);
    if (n == 1) return {};
  }
  heal(count);
  return fail(Error::system("the process that reads unsent data is gone", EPIPE));
}

}  // namespace bpfckpt::dump
