// SPDX-License-Identifier: Apache-2.0
// Unix sockets in checkpoint tests.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>

#include "harness/cr_memory.h"

namespace cr {

// A path or, with '@' in front, an abstract name.
struct UnixAddress {
  sockaddr_un name{};
  socklen_t len = 0;

  explicit UnixAddress(std::string text) {
    name.sun_family = AF_UNIX;
    const bool abstract = text.starts_with("@");
    if (abstract) text[0] = '\0';
    std::memcpy(name.sun_path, text.data(), std::min(text.size(), sizeof name.sun_path));
    len = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + text.size() + (abstract ? 0 : 1));
  }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&name); }
};

// As text again; empty: none.
inline std::string text_of(const sockaddr_un& name, socklen_t len) {
  const std::size_t bytes =
      len <= offsetof(sockaddr_un, sun_path) ? 0 : len - offsetof(sockaddr_un, sun_path);
  if (bytes == 0) return "";
  if (name.sun_path[0] == '\0') return "@" + std::string(name.sun_path + 1, bytes - 1);
  return std::string(name.sun_path, ::strnlen(name.sun_path, bytes));
}

inline std::string own_name(int fd) {
  sockaddr_un name{};
  socklen_t len = sizeof name;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &len) != 0) return "none";
  return text_of(name, len);
}

inline std::string peer_name(int fd) {
  sockaddr_un name{};
  socklen_t len = sizeof name;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&name), &len) != 0) return "none";
  return text_of(name, len);
}

inline int bound_socket(int type, const std::string& name) {
  const int fd = ::socket(AF_UNIX, type, 0);
  const UnixAddress address(name);
  REQUIRE(fd >= 0 && ::bind(fd, address.get(), address.len) == 0);
  return fd;
}

inline int listener(int type, const std::string& name, int backlog = 8) {
  const int fd = bound_socket(type, name);
  REQUIRE(::listen(fd, backlog) == 0);
  return fd;
}

inline void connect_to(int fd, const std::string& name) {
  const UnixAddress address(name);
  REQUIRE(::connect(fd, address.get(), address.len) == 0);
}

inline int client_of(int type, const std::string& name) {
  const int fd = ::socket(AF_UNIX, type, 0);
  connect_to(fd, name);
  return fd;
}

inline void send_text(int fd, const std::string& text) {
  REQUIRE(::send(fd, text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

// One receive call; "end" at the end of a stream, the error's name otherwise.
inline std::string receive_text(int fd, int flags = MSG_DONTWAIT) {
  std::string text(1 << 20, '\0');
  const ssize_t n = ::recv(fd, text.data(), text.size(), flags);
  if (n < 0) return std::string("error ") + std::to_string(errno);
  if (n == 0) return "end";
  text.resize(static_cast<std::size_t>(n));
  return text;
}

struct Received {
  std::string text, sender;
  std::vector<int> files;
  ucred credentials{0, 0, 0};
  int flags = 0;
};

inline Received receive(int fd, int flags = MSG_DONTWAIT) {
  Received received;
  received.text.resize(1 << 20);
  alignas(cmsghdr) char control[2048];
  sockaddr_un name{};
  iovec part{received.text.data(), received.text.size()};
  msghdr message{.msg_name = &name,
                 .msg_namelen = sizeof name,
                 .msg_iov = &part,
                 .msg_iovlen = 1,
                 .msg_control = control,
                 .msg_controllen = sizeof control};
  const ssize_t n = ::recvmsg(fd, &message, flags);
  received.text.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  if (n < 0) {
    received.text = "error " + std::to_string(errno);
    return received;
  }
  received.sender = text_of(name, message.msg_namelen);
  received.flags = message.msg_flags;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET) continue;
    if (c->cmsg_type == SCM_CREDENTIALS) std::memcpy(&received.credentials, CMSG_DATA(c), sizeof(ucred));
    if (c->cmsg_type != SCM_RIGHTS) continue;
    received.files.resize((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    std::memcpy(received.files.data(), CMSG_DATA(c), received.files.size() * sizeof(int));
  }
  return received;
}

inline void send_files(int fd, const std::string& text, const std::vector<int>& files) {
  std::string data = text;
  std::vector<char> control(CMSG_SPACE(files.size() * sizeof(int)));
  iovec part{data.data(), data.size()};
  msghdr message{
      .msg_iov = &part, .msg_iovlen = 1, .msg_control = control.data(), .msg_controllen = control.size()};
  cmsghdr* header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(files.size() * sizeof(int));
  std::memcpy(CMSG_DATA(header), files.data(), files.size() * sizeof(int));
  REQUIRE(::sendmsg(fd, &message, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
}

inline int int_option(int fd, int level, int name) {
  int value = -1;
  socklen_t len = sizeof value;
  REQUIRE(::getsockopt(fd, level, name, &value, &len) == 0);
  return value;
}

inline void set_option(int fd, int level, int name, int value) {
  REQUIRE(::setsockopt(fd, level, name, &value, sizeof value) == 0);
}

inline ucred peer_credentials(int fd) {
  ucred who{};
  socklen_t len = sizeof who;
  REQUIRE(::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0);
  return who;
}

// As many of that process as of this one.
inline void check_peer(int fd, pid_t pid, uid_t uid = 0, gid_t gid = 0) {
  const ucred who = peer_credentials(fd);
  CHECK_EQ(who.pid, pid);
  CHECK_EQ(who.uid, uid);
  CHECK_EQ(who.gid, gid);
}

}  // namespace cr
