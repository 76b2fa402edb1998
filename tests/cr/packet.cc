// SPDX-License-Identifier: Apache-2.0
// Packet sockets: of one protocol at one interface, of all, of none; memberships, options, a filter, a group
// that shares packets.
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "harness/cr_net.h"

namespace {

using namespace cr;

int packet_socket(int type, int protocol) {
  const int fd = ::socket(AF_PACKET, type, htons(static_cast<std::uint16_t>(protocol)));
  if (fd < 0) skip("packet-sockets");
  return fd;
}

void bind_to(int fd, int protocol, int interface) {
  sockaddr_ll name{};
  name.sll_family = AF_PACKET;
  name.sll_protocol = htons(static_cast<std::uint16_t>(protocol));
  name.sll_ifindex = interface;
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&name), sizeof name) == 0);
}

std::string name_of_packet(int fd) {
  sockaddr_ll name{};
  socklen_t len = sizeof name;
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &len) == 0);
  return std::to_string(ntohs(name.sll_protocol)) + " at " + std::to_string(name.sll_ifindex) + "; ";
}

// IFLA_PROMISCUITY of the loopback device: how many want it promiscuous.
int promiscuity() {
  struct {
    nlmsghdr head{sizeof(nlmsghdr) + sizeof(ifinfomsg), RTM_GETLINK, NLM_F_REQUEST, 1, 0};
    ifinfomsg link{};
  } request;
  request.link.ifi_index = static_cast<int>(::if_nametoindex("lo"));
  const int fd = ::socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  alignas(nlmsghdr) char answer[16384];
  REQUIRE(::send(fd, &request, sizeof request, 0) == sizeof request);
  const ssize_t n = ::recv(fd, answer, sizeof answer, 0);
  ::close(fd);
  auto head = reinterpret_cast<nlmsghdr*>(answer);
  REQUIRE(n > 0 && head->nlmsg_type == RTM_NEWLINK);
  auto at = reinterpret_cast<rtattr*>(static_cast<char*>(NLMSG_DATA(head)) + NLMSG_ALIGN(sizeof(ifinfomsg)));
  int left = static_cast<int>(head->nlmsg_len - NLMSG_SPACE(sizeof(ifinfomsg))), value = -1;
  for (; RTA_OK(at, left); at = RTA_NEXT(at, left))
    if (at->rta_type == IFLA_PROMISCUITY) std::memcpy(&value, RTA_DATA(at), sizeof value);
  return value;
}

// How many packets with these bytes are in its queue, which is empty then.
int seen(int fd, const std::string& bytes) {
  int count = 0;
  char buffer[2048];
  for (ssize_t n; (n = ::recv(fd, buffer, sizeof buffer, MSG_DONTWAIT)) >= 0;)
    if (std::string(buffer, static_cast<std::size_t>(n)).find(bytes) != std::string::npos) count++;
  return count;
}

// The same; waits until there are as many: another processor may still be giving them to one socket after the
// other.
int seen_at_last(int fd, const std::string& bytes, int expected) {
  int count = seen(fd, bytes);
  for (int i = 0; i < 1000 * patience() && count < expected; i++) {
    ::usleep(1000);
    count += seen(fd, bytes);
  }
  return count;
}

void send_datagram(const std::string& bytes) {
  const int fd = ::socket(AF_INET, SOCK_DGRAM, 0);
  Address a = address("127.0.0.1", 9999);
  REQUIRE(::sendto(fd, bytes.data(), bytes.size(), 0, a.get(), a.len) == static_cast<ssize_t>(bytes.size()));
  ::close(fd);
}

}  // namespace

cr::Options cr::options() {
  return {};
}

void cr::test() {
  const int lo = static_cast<int>(::if_nametoindex("lo"));
  const int ip = packet_socket(SOCK_DGRAM, ETH_P_IP), all = packet_socket(SOCK_RAW, 0),
            none = packet_socket(SOCK_RAW, 0);
  bind_to(all, ETH_P_ALL, lo);
  packet_mreq promiscuous{};
  promiscuous.mr_ifindex = lo;
  promiscuous.mr_type = PACKET_MR_PROMISC;
  for (int i = 0; i < 2; i++)
    REQUIRE(::setsockopt(all, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof promiscuous) == 0);
  packet_mreq group{};
  group.mr_ifindex = lo;
  group.mr_type = PACKET_MR_MULTICAST;
  group.mr_alen = 6;
  std::memcpy(group.mr_address, "\1\0\x5e\1\2\3", 6);
  REQUIRE(::setsockopt(all, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &group, sizeof group) == 0);
  set_option(all, SOL_PACKET, PACKET_AUXDATA, 1);
  set_option(all, SOL_PACKET, PACKET_ORIGDEV, 1);
  set_option(none, SOL_PACKET, PACKET_VERSION, TPACKET_V3);
  set_option(none, SOL_PACKET, PACKET_RESERVE, 64);
  set_option(none, SOL_PACKET, PACKET_QDISC_BYPASS, 1);
  // Nothing passes this one.
  const int deaf = packet_socket(SOCK_RAW, 0);
  sock_filter nothing[] = {{BPF_RET | BPF_K, 0, 0, 0}};
  const sock_fprog program{1, nothing};
  REQUIRE(::setsockopt(deaf, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0);
  bind_to(deaf, ETH_P_ALL, lo);
  int sharing[2], receiver = ::socket(AF_INET, SOCK_DGRAM, 0);
  Address to = address("127.0.0.1", 9999);
  REQUIRE(::bind(receiver, to.get(), to.len) == 0);
  for (int& fd : sharing) {
    fd = packet_socket(SOCK_DGRAM, 0);
    bind_to(fd, ETH_P_IP, lo);
    set_option(fd, SOL_PACKET, PACKET_FANOUT, 4711 | PACKET_FANOUT_LB << 16);
  }
  auto names = [&] {
    std::string text = std::to_string(promiscuity()) + "; ";
    for (const int fd : {ip, all, none, deaf, sharing[0], sharing[1]}) text += name_of_packet(fd);
    return text;
  };
  const std::string before = names();
  const int fanout = option(sharing[0], SOL_PACKET, PACKET_FANOUT);

  checkpoint_here();

  CHECK_EQ(names(), before);
  CHECK_EQ(option(all, SOL_PACKET, PACKET_AUXDATA), 1);
  CHECK_EQ(option(all, SOL_PACKET, PACKET_ORIGDEV), 1);
  CHECK_EQ(option(none, SOL_PACKET, PACKET_VERSION), TPACKET_V3);
  CHECK_EQ(option(none, SOL_PACKET, PACKET_RESERVE), 64);
  CHECK_EQ(option(none, SOL_PACKET, PACKET_QDISC_BYPASS), 1);
  CHECK_EQ(option(ip, SOL_PACKET, PACKET_AUXDATA), 0);
  for (const int fd : sharing) CHECK_EQ(option(fd, SOL_PACKET, PACKET_FANOUT), fanout);
  for (const int fd : {ip, all, sharing[0], sharing[1]}) seen(fd, "");
  for (int i = 0; i < 4; i++) send_datagram("to be seen " + std::to_string(i));
  // Over the loopback device each goes out and comes in.
  CHECK(seen_at_last(ip, "to be seen 3", 1) >= 1);
  CHECK_EQ(seen_at_last(all, "to be seen 3", 2), 2);
  CHECK_EQ(seen(none, ""), 0);
  CHECK_EQ(seen(deaf, ""), 0);
  const int first = seen_at_last(sharing[0], "to be seen", 2),
            second = seen_at_last(sharing[1], "to be seen", 2);
  CHECK(first == 2 && second == 2);
  CHECK_EQ(promiscuity(), 1);
  for (const int left : {1, 0}) {
    CHECK(::setsockopt(all, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &promiscuous, sizeof promiscuous) == 0);
    CHECK_EQ(promiscuity(), left);
  }
  CHECK(::setsockopt(all, SOL_PACKET, PACKET_DROP_MEMBERSHIP, &group, sizeof group) == 0);
}
