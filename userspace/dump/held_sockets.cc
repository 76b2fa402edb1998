// SPDX-License-Identifier: Apache-2.0
#include "dump/held_sockets.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "kinds/tcp.h"

namespace bpfckpt::dump {
namespace {

// Of at most 253 a message (include/net/scm.h: SCM_MAX_FD).
constexpr std::size_t kAtOnce = 128;
constexpr int kQueueBytes = 1 << 28;  // of which nothing is taken that is not used

struct Message {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(kAtOnce * sizeof(int))> control{};
  msghdr header{};

  explicit Message(std::size_t descriptors) {
    header.msg_iov = &data;
    header.msg_iovlen = 1;
    header.msg_control = control.data();
    header.msg_controllen = CMSG_SPACE(descriptors * sizeof(int));
  }
};

// In repair mode a socket goes without a packet (net/ipv4/tcp.c:__tcp_close()); one that does not linger goes
// with a reset, and leaves no TIME-WAIT in the way of its listener.
void end_one(const Fd& socket, bool reset) {
  const int on = kinds::kRepairOn;
  const linger now{1, 0};
  if (reset)
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
  else if (::setsockopt(socket.get(), IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) != 0)
    log::warn("TCP_REPAIR: {}", std::strerror(errno));
}

}  // namespace

Result<void> HeldSockets::send(Queue& queue) {
  if (queue.next.empty()) return {};
  if (!queue.in) {
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      return fail(Error::system("socketpair"));
    queue.in.reset(ends[0]);
    queue.out.reset(ends[1]);
    if (::setsockopt(ends[0], SOL_SOCKET, SO_SNDBUFFORCE, &kQueueBytes, sizeof kQueueBytes) != 0)
      log::info("SO_SNDBUFFORCE: {}", std::strerror(errno));
  }
  Message message(queue.next.size());
  cmsghdr* rights = CMSG_FIRSTHDR(&message.header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(queue.next.size() * sizeof(int));
  for (std::size_t i = 0; i < queue.next.size(); i++) {
    const int fd = queue.next[i].get();
    std::memcpy(CMSG_DATA(rights) + i * sizeof fd, &fd, sizeof fd);
  }
  if (::sendmsg(queue.in.get(), &message.header, MSG_DONTWAIT) != 1)
    return fail(Error::system("hold the connections' sockets"));
  queue.messages++;
  queue.next.clear();
  return {};
}

Result<void> HeldSockets::hold(Fd socket, bool reset) {
  Queue& queue = reset ? reset_ : quiet_;
  queue.next.push_back(std::move(socket));
  return queue.next.size() < kAtOnce ? Result<void>{} : send(queue);
}

Result<void> HeldSockets::finish() {
  TRY(send(quiet_));
  return send(reset_);
}

void HeldSockets::end_all(Queue& queue, bool reset) {
  for (; queue.messages != 0; queue.messages--) {
    Message message(kAtOnce);
    if (::recvmsg(queue.out.get(), &message.header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) != 1) {
      log::warn("the connections' sockets: {}", std::strerror(errno));
      break;
    }
    const cmsghdr* rights = CMSG_FIRSTHDR(&message.header);
    if (rights == nullptr || rights->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; i++) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(rights) + i * sizeof fd, sizeof fd);
      end_one(Fd(fd), reset);
    }
  }
  queue = {};
}

void HeldSockets::end() {
  end_all(quiet_, false);
  end_all(reset_, true);
}

}  // namespace bpfckpt::dump
