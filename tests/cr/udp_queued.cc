// SPDX-License-Identifier: Apache-2.0
// Datagrams that wait to be read: their bounds, order and sender, where they were for, TTL and TOS; in
// sockets that are connected, of many at one port, nearly full, looked at before, shut down, dual-stack.
#include <sys/uio.h>

#include "harness/cr_net.h"

namespace {

using namespace cr;

int bound_to(const char* host, int port = 0, bool share = false) {
  Address a = address(host, port);
  const int fd = ::socket(a.storage.ss_family, SOCK_DGRAM, 0);
  REQUIRE(fd >= 0);
  if (share) set_option(fd, SOL_SOCKET, SO_REUSEPORT, 1);
  REQUIRE(::bind(fd, a.get(), a.len) == 0);
  return fd;
}

void send_to(int from, int to, const std::string& bytes, const char* host = nullptr) {
  Address a = name_of(to);
  if (host != nullptr) a = address(host, ntohs(reinterpret_cast<sockaddr_in&>(a.storage).sin_port));
  REQUIRE(::sendto(from, bytes.data(), bytes.size(), 0, a.get(), a.len) ==
          static_cast<ssize_t>(bytes.size()));
}

struct Got {
  std::string bytes, sender, for_whom;
  int ttl = -1, tos = -1;
};

Got take(int fd, int flags = 0) {
  Got got;
  got.bytes.resize(70000);
  Address from;
  alignas(cmsghdr) char control[512];
  iovec part{got.bytes.data(), got.bytes.size()};
  msghdr message{};
  message.msg_name = &from.storage;
  message.msg_namelen = from.len;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const ssize_t n = ::recvmsg(fd, &message, flags | MSG_DONTWAIT);
  if (n < 0) return {"nothing", "", ""};
  got.bytes.resize(static_cast<std::size_t>(n));
  got.sender = from.text();
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    char text[INET6_ADDRSTRLEN] = "?";
    if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_PKTINFO)
      ::inet_ntop(AF_INET, &reinterpret_cast<in_pktinfo*>(CMSG_DATA(c))->ipi_addr, text, sizeof text);
    else if (c->cmsg_level == SOL_IPV6 && c->cmsg_type == IPV6_PKTINFO)
      ::inet_ntop(AF_INET6, &reinterpret_cast<in6_pktinfo*>(CMSG_DATA(c))->ipi6_addr, text, sizeof text);
    else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TTL)
      std::memcpy(&got.ttl, CMSG_DATA(c), sizeof got.ttl);
    else if (c->cmsg_level == SOL_IP && c->cmsg_type == IP_TOS)
      got.tos = *reinterpret_cast<std::uint8_t*>(CMSG_DATA(c));
    if (text[0] != '?') got.for_whom = text;
  }
  return got;
}

}  // namespace

cr::Options cr::options() {
  return {};
}

void cr::test() {
  // Not connected, for any address, with all that can be told of a datagram.
  const int any = bound_to("0.0.0.0");
  for (const int name : {IP_PKTINFO, IP_RECVTTL, IP_RECVTOS}) set_option(any, SOL_IP, name, 1);
  const int sender = bound_to("127.0.0.5"), other = bound_to("127.0.0.6");
  set_option(sender, SOL_IP, IP_TTL, 33);
  set_option(sender, SOL_IP, IP_TOS, 0x20);
  send_to(sender, any, "first", "127.0.0.1");
  send_to(other, any, "", "127.7.7.7");
  send_to(other, any, pattern(65507), "127.0.0.2");
  send_to(sender, any, "last", "127.0.0.1");
  CHECK_EQ(take(any, MSG_PEEK).bytes, "first");
  // Connected: a datagram of before that, and one of its peer.
  const int connected = bound_to("127.0.0.1");
  Address peer = name_of(sender);
  send_to(other, connected, "of before");
  REQUIRE(::connect(connected, peer.get(), peer.len) == 0);
  send_to(sender, connected, "of the peer");
  // Three at one port; each has what it got.
  int group[3];
  group[0] = bound_to("127.0.0.1", 0, true);
  const int port = ntohs(reinterpret_cast<sockaddr_in&>(name_of(group[0]).storage).sin_port);
  for (int i = 1; i < 3; i++) group[i] = bound_to("127.0.0.1", port, true);
  for (int i = 0; i < 24; i++) {
    const int from = bound_to("127.0.0.1");
    send_to(from, group[0], std::to_string(i));
    ::close(from);
  }
  // IPv6, and IPv4 to a socket of IPv6.
  const int v6 = bound_to("::"), v6_sender = bound_to("::1");
  set_option(v6, SOL_IPV6, IPV6_RECVPKTINFO, 1);
  send_to(v6_sender, v6, "by IPv6", "::1");
  send_to(sender, v6, "by IPv4", "127.0.0.3");
  // Full, with a small buffer, and not waiting; and one that receives nothing any more.
  const int full = bound_to("127.0.0.1");
  set_option(full, SOL_SOCKET, SO_RCVBUF, 8192);
  REQUIRE(::fcntl(full, F_SETFL, O_NONBLOCK) == 0);
  for (int i = 0; i < 100; i++) send_to(sender, full, pattern(300, i));
  const int shut = bound_to("127.0.0.1");
  REQUIRE(::connect(shut, peer.get(), peer.len) == 0);
  send_to(sender, shut, "still here");
  REQUIRE(::shutdown(shut, SHUT_RD) == 0);
  // Looks at them by an offset.
  const int peeked = bound_to("127.0.0.1");
  set_option(peeked, SOL_SOCKET, SO_PEEK_OFF, 0);
  send_to(sender, peeked, "one");
  send_to(sender, peeked, "two");
  char bytes[8];
  REQUIRE(::recv(peeked, bytes, 8, MSG_PEEK) == 3);

  int lengths[3] = {};
  for (int i = 0; i < 3; i++) ::ioctl(group[i], FIONREAD, &lengths[i]);
  const std::string names = name_of(any).text() + name_of(connected).text() + name_of(group[2]).text() +
                            name_of(v6).text() + name_of(full).text() + peer_of(shut).text();
  const int room = option(full, SOL_SOCKET, SO_RCVBUF), room_any = option(any, SOL_SOCKET, SO_RCVBUF);

  // What new sockets are by then is not what these are.
  REQUIRE(set_setting("ipv6/bindv6only", "1"));
  checkpoint_here();

  CHECK_EQ(names, name_of(any).text() + name_of(connected).text() + name_of(group[2]).text() +
                      name_of(v6).text() + name_of(full).text() + peer_of(shut).text());
  CHECK_EQ(option(full, SOL_SOCKET, SO_RCVBUF), room);
  CHECK_EQ(option(any, SOL_SOCKET, SO_RCVBUF), room_any);
  CHECK_EQ(option(any, SOL_SOCKET, SO_PEEK_OFF), -1);
  CHECK_EQ(option(any, SOL_SOCKET, SO_RCVTIMEO), 0);
  Got got = take(any);
  CHECK(got.bytes == "first" && got.sender == name_of(sender).text());
  CHECK_EQ(got.for_whom, "127.0.0.1");
  CHECK(got.ttl == 33 && got.tos == 0x20);
  got = take(any);
  CHECK(got.bytes.empty() && got.sender == name_of(other).text());
  CHECK_EQ(got.for_whom, "127.7.7.7");
  got = take(any);
  CHECK(got.bytes == pattern(65507) && got.for_whom == "127.0.0.2");
  CHECK_EQ(take(any).bytes, "last");
  CHECK_EQ(take(any).bytes, "nothing");
  got = take(connected);
  CHECK(got.bytes == "of before" && got.sender == name_of(other).text());
  CHECK_EQ(take(connected).bytes, "of the peer");
  std::size_t all = 0, in_full = 0;
  for (int i = 0; i < 3; i++) {
    int length = 0;
    ::ioctl(group[i], FIONREAD, &length);
    CHECK_EQ(length, lengths[i]);
    while (take(group[i]).bytes != "nothing") all++;
  }
  CHECK_EQ(all, 24u);
  got = take(v6);
  CHECK(got.bytes == "by IPv6" && got.sender == name_of(v6_sender).text());
  CHECK_EQ(got.for_whom, "::1");
  got = take(v6);
  CHECK_EQ(got.bytes, "by IPv4");
  CHECK_EQ(got.for_whom, "::ffff:127.0.0.3");
  for (; take(full, MSG_PEEK).bytes != "nothing"; in_full++)
    CHECK_EQ(take(full).bytes, pattern(300, static_cast<int>(in_full)));
  CHECK(in_full > 2 && in_full < 100);
  CHECK_EQ(take(shut).bytes, "still here");
  CHECK(::recv(peeked, bytes, 8, MSG_PEEK) == 3 && std::memcmp(bytes, "two", 3) == 0);
  CHECK_EQ(take(peeked).bytes, "one");
  CHECK_EQ(take(peeked).bytes, "two");
  // And they go on.
  send_to(sender, any, "new", "127.0.0.1");
  CHECK_EQ(take(any).bytes, "new");
  send_to(other, connected, "not of the peer");
  CHECK_EQ(take(connected).bytes, "nothing");
  send_to(sender, connected, "of the peer again");
  CHECK_EQ(take(connected).bytes, "of the peer again");
}
