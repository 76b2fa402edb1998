// SPDX-License-Identifier: Apache-2.0
// Netlink sockets: port, groups (some beyond the first 32), options, and that requests are answered.
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "harness/cr_memory.h"

namespace {

sockaddr_nl name_of(int fd) {
  sockaddr_nl name{};
  socklen_t len = sizeof name;
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &len) == 0);
  return name;
}

std::string groups_of(int fd) {
  std::uint32_t words[64] = {};
  socklen_t len = sizeof words;
  REQUIRE(::getsockopt(fd, SOL_NETLINK, NETLINK_LIST_MEMBERSHIPS, words, &len) == 0);
  std::string text;
  for (std::uint32_t i = 0; i < 64 * 32; i++)
    if ((words[i / 32] >> (i % 32) & 1) != 0) text += std::to_string(i + 1) + " ";
  return text;
}

}  // namespace

void cr::test() {
  const int route = ::socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE),
            fresh = ::socket(AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE);
  sockaddr_nl own{};
  own.nl_family = AF_NETLINK;
  own.nl_pid = 0x40001234;
  REQUIRE(route >= 0 && fresh >= 0 && ::bind(route, reinterpret_cast<sockaddr*>(&own), sizeof own) == 0);
  for (int group : {8, 9, 33, 34})  // IPv4 rules, IPv6 addresses, and two that no mask has room for
    REQUIRE(::setsockopt(route, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) == 0);
  const int on = 1;
  REQUIRE(::setsockopt(route, SOL_NETLINK, NETLINK_PKTINFO, &on, sizeof on) == 0);
  REQUIRE(::setsockopt(route, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof on) == 0);
  // Where newer kernels keep this, older ones keep SO_TXREHASH.
  REQUIRE(::setsockopt(fresh, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0);
  const std::string groups = groups_of(route);
  checkpoint_here();
  CHECK_EQ(name_of(route).nl_pid, 0x40001234U);
  CHECK_EQ(groups_of(route), groups);
  CHECK_EQ(name_of(fresh).nl_pid, 0U);
  int value = 0;
  socklen_t len = sizeof value;
  CHECK(::getsockopt(fresh, SOL_SOCKET, SO_PASSCRED, &value, &len) == 0 && value == 1);
  CHECK(::getsockopt(route, SOL_NETLINK, NETLINK_PKTINFO, &value, &len) == 0 && value == 1);
  CHECK(::getsockopt(route, SOL_NETLINK, NETLINK_EXT_ACK, &value, &len) == 0 && value == 1);
  struct {
    nlmsghdr head;
    rtgenmsg family;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = RTM_GETLINK;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  for (int fd : {route, fresh}) {
    CHECK_EQ(::send(fd, &request, sizeof request, 0), static_cast<ssize_t>(sizeof request));
    char answer[65536];
    ssize_t n = ::recv(fd, answer, sizeof answer, 0);
    CHECK(n > 0 && reinterpret_cast<nlmsghdr*>(answer)->nlmsg_type == RTM_NEWLINK);
  }
}
