// SPDX-License-Identifier: Apache-2.0
// What tests of Internet sockets share. They run in a network namespace of their own, where lo is up.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "harness/cr_test.h"

namespace cr {

struct Address {
  sockaddr_storage storage{};
  socklen_t len = sizeof(sockaddr_storage);
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
  // "family address port"
  std::string text() const {
    char host[INET6_ADDRSTRLEN] = "?";
    if (storage.ss_family == AF_INET) {
      const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
      ::inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
      return std::string("4 ") + host + " " + std::to_string(ntohs(v4.sin_port));
    }
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    return std::string("6 ") + host + " " + std::to_string(ntohs(v6.sin6_port));
  }
};

inline Address address(const char* host, int port) {
  Address a;
  auto& v4 = reinterpret_cast<sockaddr_in&>(a.storage);
  auto& v6 = reinterpret_cast<sockaddr_in6&>(a.storage);
  if (::inet_pton(AF_INET, host, &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(static_cast<std::uint16_t>(port));
    a.len = sizeof v4;
  } else {
    REQUIRE(::inet_pton(AF_INET6, host, &v6.sin6_addr) == 1);
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(static_cast<std::uint16_t>(port));
    a.len = sizeof v6;
  }
  return a;
}

inline Address name_of(int fd) {
  Address a;
  REQUIRE(::getsockname(fd, a.get(), &a.len) == 0);
  return a;
}

inline Address peer_of(int fd) {
  Address a;
  REQUIRE(::getpeername(fd, a.get(), &a.len) == 0);
  return a;
}

// Of the network namespace: "ipv4/tcp_sack".
inline bool set_setting(const std::string& name, const char* value) {
  FILE* file = std::fopen(("/proc/sys/net/" + name).c_str(), "we");
  if (file == nullptr) return false;
  const bool written = std::fputs(value, file) >= 0;
  return std::fclose(file) == 0 && written;
}

// Of RFC 1071, over all of `bytes`, a pseudo header among them; never 0, which says that there is none.
inline std::uint16_t internet_checksum(std::string bytes) {
  if (bytes.size() % 2 != 0) bytes += '\0';
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < bytes.size(); i += 2) {
    std::uint16_t word = 0;
    std::memcpy(&word, &bytes[i], sizeof word);
    sum += word;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return sum == 0xffff ? std::uint16_t{0xffff} : static_cast<std::uint16_t>(~sum);
}

inline int option(int fd, int level, int name) {
  int value = -1;
  socklen_t len = sizeof value;
  return ::getsockopt(fd, level, name, &value, &len) == 0 ? value : -1000 - errno;
}

inline void set_option(int fd, int level, int name, int value) {
  REQUIRE(::setsockopt(fd, level, name, &value, sizeof value) == 0);
}

inline int listener_on(const char* host, int port = 0, int backlog = 16) {
  Address a = address(host, port);
  const int fd = ::socket(a.storage.ss_family, SOCK_STREAM, 0);
  REQUIRE(fd >= 0 && ::bind(fd, a.get(), a.len) == 0 && ::listen(fd, backlog) == 0);
  return fd;
}

struct Connection {
  int client = -1, server = -1;
};

// `to`: where the client connects to; null: the listener's own address.
inline Connection connect_to(int listener, const char* to = nullptr) {
  Address a = name_of(listener);
  if (to != nullptr) {
    const int port = ntohs(reinterpret_cast<sockaddr_in&>(a.storage).sin_port);
    a = address(to, port);
  }
  Connection c;
  c.client = ::socket(a.storage.ss_family, SOCK_STREAM, 0);
  REQUIRE(::connect(c.client, a.get(), a.len) == 0);
  c.server = ::accept(listener, nullptr, nullptr);
  REQUIRE(c.server >= 0);
  return c;
}

inline std::string pattern(std::size_t len_bytes, int seed = 0) {
  std::string out(len_bytes, '\0');
  for (std::size_t i = 0; i < len_bytes; ++i)
    out[i] = static_cast<char>(i * 31 + i / 251 + static_cast<std::size_t>(seed) * 7);
  return out;
}

inline void send_all(int fd, const std::string& bytes) {
  for (std::size_t done = 0; done < bytes.size();) {
    const ssize_t n = ::send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    REQUIRE(n > 0);
    done += static_cast<std::size_t>(n);
  }
}

// As much as fits; how much that was.
inline std::size_t send_until_full(int fd, const std::string& bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t n = ::send(fd, bytes.data() + done, bytes.size() - done, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  return done;
}

inline std::string receive(int fd, std::size_t len_bytes) {
  std::string out(len_bytes, '\0');
  std::size_t done = 0;
  while (done < len_bytes) {
    const ssize_t n = ::recv(fd, out.data() + done, len_bytes - done, 0);
    if (n <= 0) break;
    done += static_cast<std::size_t>(n);
  }
  out.resize(done);
  return out;
}

inline int tcp_state(int fd) {
  tcp_info info{};
  socklen_t len = sizeof info;
  REQUIRE(::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0);
  return info.tcpi_state;
}

inline void await_tcp_state(int fd, int state) {
  while (tcp_state(fd) != state) ::usleep(1000);
}

// Both directions work.
inline void exchange(const Connection& c) {
  send_all(c.client, "ping");
  CHECK_EQ(receive(c.server, 4), "ping");
  send_all(c.server, "pong");
  CHECK_EQ(receive(c.client, 4), "pong");
}

}  // namespace cr
