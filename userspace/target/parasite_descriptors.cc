// SPDX-License-Identifier: Apache-2.0
// InjectedParasite: descriptors of ours for the target.
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <array>

#include "base/fd.h"
#include "target/injected_parasite.h"

namespace bpfckpt::target {
namespace {

constexpr unsigned kPidfdThread = O_EXCL;  // include/uapi/linux/pidfd.h: PIDFD_THREAD, since 6.9

// recvmsg()'s arguments in the slot's data.
struct FdMessage {
  msghdr header;
  iovec vector;
  char byte;
  struct {  // struct cmsghdr and its data
    std::size_t len;
    int level;
    int type;
    int fds[2];  // the second is never written: the end for Batch::own_ints()
  } control;
};

}  // namespace

Result<void> InjectedParasite::begin_receive() {
  // The blob would have to close it if we die, and a filter may forbid close().
  if (injection_.seccomp) return fail(Error::unsupported("a descriptor for a process under seccomp"));
  Batch ask = batch();
  const auto limit = ask.put(rlimit{});
  const auto pair = ask.put(std::array{-1, -1});
  if (!limit || !pair) return fail(Error::bug("no room in the slot"));
  ask.call(SYS_prlimit64, 0, RLIMIT_FSIZE, nullptr, *limit);
  ask.own_ints(ask.call(SYS_socketpair, AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, *pair), *pair);
  pair_ = *pair;
  message_ = *limit;
  return ask.submit();
}

Result<void> InjectedParasite::send_fd(int ours) {
  Batch asked = batch();
  TaskWatch watching = watch();
  TRY(asked.wait(watching));
  const auto theirs = asked.at<std::array<int, 2>>(pair_);
  if (asked.at<rlimit>(message_).rlim_cur != RLIM_INFINITY) {
    TRY(drop_fd(theirs[0]));
    TRY(drop_fd(theirs[1]));
    return fail(Error::unsupported("a descriptor for a process with a limit on file sizes"));
  }
  Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, injection_.pid, 0)));
  if (!pidfd) pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, injection_.pid, kPidfdThread)));
  const Fd socket(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), theirs[1], 0)));
  if (!socket) {
    const Error error = Error::system("pidfd_getfd");
    TRY(drop_fd(theirs[0]));
    TRY(drop_fd(theirs[1]));
    return fail(error);
  }

  FdMessage message{};
  message.byte = '!';
  message.vector = {&message.byte, 1};
  message.header.msg_iov = &message.vector;
  message.header.msg_iovlen = 1;
  message.header.msg_control = &message.control;
  message.header.msg_controllen = CMSG_SPACE(sizeof ours);
  message.control = {
      .len = CMSG_LEN(sizeof ours), .level = SOL_SOCKET, .type = SCM_RIGHTS, .fds = {ours, -1}};
  if (::sendmsg(socket.get(), &message.header, 0) != 1) return fail(Error::system("sendmsg"));

  // The same struct as the target sees it.
  Batch receive = batch();
  message.control.fds[0] = -1;
  const auto at = receive.put(message);
  if (!at) return fail(Error::bug("no room in the slot"));
  auto& remote = receive.at<FdMessage>(*at);
  const auto inside = [&](std::size_t offset) { return reinterpret_cast<void*>((*at + offset).value()); };
  remote.vector.iov_base = inside(offsetof(FdMessage, byte));
  remote.header.msg_iov = static_cast<iovec*>(inside(offsetof(FdMessage, vector)));
  remote.header.msg_control = inside(offsetof(FdMessage, control));
  message_ = *at + offsetof(FdMessage, control.fds);
  receive.own_ints(receive.call(SYS_recvmsg, theirs[0], *at, MSG_DONTWAIT | MSG_CMSG_CLOEXEC), message_);
  receive.disown(receive.call(SYS_close, theirs[0]));
  receive.disown(receive.call(SYS_close, theirs[1]));
  return receive.submit();
}

Result<int> InjectedParasite::finish_receive() {
  Batch receive = batch();
  TaskWatch watching = watch();
  TRY(receive.wait(watching));
  const int theirs = receive.at<int>(message_);
  // MSG_CTRUNC: no free descriptor was left for it (RLIMIT_NOFILE).
  if (theirs < 0) return fail(Error::system("receive a descriptor in the target", EMFILE));
  return theirs;
}

Result<int> InjectedParasite::receive_fd(int ours) {
  TRY(begin_receive());
  TRY(send_fd(ours));
  return finish_receive();
}

Result<void> InjectedParasite::drop_fd(int theirs) {
  Batch drop = batch();
  drop.disown(drop.call(SYS_close, theirs));
  TaskWatch watching = watch();
  return drop.run(watching);
}

}  // namespace bpfckpt::target
