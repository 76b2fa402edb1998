// SPDX-License-Identifier: Apache-2.0
#include "kinds/unix_peek.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

#include "kinds/peek_offset.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::size_t kMostFiles = 253;       // SCM_MAX_FD
constexpr std::size_t kMostBytes = 64 << 20;  // more than any socket's buffers have room for
constexpr int kMostMessages = 1 << 20;

void take_files(msghdr& message, std::vector<Fd>& files) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; i++) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof fd);
      files.emplace_back(fd);
    }
  }
}

}  // namespace

Result<std::vector<Fd>> peek_rights(int fd) {
  TRY_ASSIGN(const PeekOffset first, PeekOffset::set(fd, 0));
  // A message that is not seen whole is shown again, its files with it.
  int buffer_bytes = 0, sent_bytes = 0;
  socklen_t len = sizeof buffer_bytes;
  ::getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, &len);
  ::ioctl(fd, FIONREAD, &sent_bytes);
  std::string room(std::min<std::size_t>(
                       kMostBytes, static_cast<std::size_t>(std::max({buffer_bytes, sent_bytes, 256 << 10}))),
                   '\0');
  std::vector<Fd> files;
  for (int i = 0; i < kMostMessages; i++) {
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int) * kMostFiles) + 256];
    iovec part{room.data(), room.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t n = ::recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EAGAIN) break;
    if (n < 0) return fail(Error::system("recvmsg(MSG_PEEK)"));
    take_files(message, files);
    if ((message.msg_flags & MSG_CTRUNC) != 0)
      return fail(Error::system("no room for the files in flight", EMFILE));
    if (n == 0 && message.msg_controllen == 0) break;  // the end of a stream, or an empty message
  }
  return files;
}

Result<std::vector<std::string>> peek_data(int fd, std::span<const std::uint32_t> lengths) {
  std::size_t total = 0;
  for (const std::uint32_t length : lengths) total += length;
  if (total > kMostBytes) return fail(Error::bug("a queue that no socket has room for"));
  int type = 0;
  socklen_t len = sizeof type;
  if (::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0)
    return fail(Error::system("getsockopt(SO_TYPE)"));
  TRY_ASSIGN(const PeekOffset first, PeekOffset::set(fd, 0));
  std::string data(total, '\0');
  std::size_t have = 0, next = 0;
  while (have < total) {
    // A datagram that is cut short would be gone on with: each is asked for as long as it is.
    while (type != SOCK_STREAM && next < lengths.size() && lengths[next] == 0) next++;
    const std::size_t want = type == SOCK_STREAM ? total - have : lengths[next];
    const ssize_t n = ::recv(fd, data.data() + have, want, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0) return fail(Error::system("recv(MSG_PEEK)"));
    if (type == SOCK_STREAM && n == 0) return fail(Error::system("the queue became shorter", EIO));
    if (type != SOCK_STREAM && n == 0) continue;  // an empty one in between, which is shown once
    if (type != SOCK_STREAM && static_cast<std::size_t>(n) != want)
      return fail(Error::system(fmt::format("a message of {} bytes instead of {}", n, want), EIO));
    have += static_cast<std::size_t>(n);
    next++;
  }
  std::vector<std::string> messages;
  std::size_t at = 0;
  for (const std::uint32_t length : lengths) {
    messages.push_back(data.substr(at, length));
    at += length;
  }
  return messages;
}

}  // namespace bpfckpt::kinds
