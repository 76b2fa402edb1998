// SPDX-License-Identifier: Apache-2.0
// Every option of a socket that takes a number and shows it again comes back, whatever the kernel calls it:
// each number of each level is tried, on sockets of each family.
#include <linux/netlink.h>

#include <map>
#include <utility>

#include "harness/cr_net.h"

namespace {

constexpr int kMostNames = 140;
constexpr int kSolUdp = 17, kSolUdplite = 136, kSolPacket = 263, kSolIcmpv6 = 58;
constexpr int kLevels[] = {SOL_SOCKET,  SOL_IP,  SOL_IPV6,   IPPROTO_TCP, kSolUdp,
                           kSolUdplite, SOL_RAW, kSolIcmpv6, SOL_NETLINK, kSolPacket};

struct Kind {
  const char* name;
  int family, type, protocol;
  bool connected;  // or bound
};

constexpr Kind kKinds[] = {
    {"unix", AF_UNIX, SOCK_STREAM, 0, false},
    {"tcp", AF_INET, SOCK_STREAM, 0, false},
    {"tcp connection", AF_INET, SOCK_STREAM, 0, true},
    {"tcp6", AF_INET6, SOCK_STREAM, 0, false},
    {"tcp6 connection", AF_INET6, SOCK_STREAM, 0, true},
    {"udp", AF_INET, SOCK_DGRAM, 0, false},
    {"udp6", AF_INET6, SOCK_DGRAM, 0, false},
    {"udplite", AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE, false},
    {"icmp", AF_INET, SOCK_DGRAM, IPPROTO_ICMP, false},
    {"icmp6", AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6, false},
    {"raw", AF_INET, SOCK_RAW, IPPROTO_ICMP, false},
    {"raw6", AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, false},
    {"packet", AF_PACKET, SOCK_RAW, 0, false},
    {"netlink", AF_NETLINK, SOCK_RAW, NETLINK_ROUTE, false},
};

// What is no setting: it does something, or says how the next call is meant.
bool is_action(int level, int name) {
  constexpr std::pair<int, int> kActions[] = {
      {SOL_SOCKET, SO_BINDTODEVICE},
      {SOL_SOCKET, 26 /* SO_ATTACH_FILTER */},
      {SOL_SOCKET, 27},
      {SOL_SOCKET, 50},
      {SOL_SOCKET, 51},  // programs
      {SOL_SOCKET, 52},
      {SOL_SOCKET, 44},  // SO_LOCK_FILTER: cr/unix_options
      {SOL_SOCKET, SO_LINGER},
      {IPPROTO_TCP, 19 /* TCP_REPAIR */},
      {IPPROTO_TCP, 20},
      {IPPROTO_TCP, 21},
      {IPPROTO_TCP, 22},
      {IPPROTO_TCP, 31 /* TCP_ULP */},
      {IPPROTO_TCP, TCP_MD5SIG},
      {IPPROTO_TCP, TCP_QUICKACK},
      {IPPROTO_TCP, TCP_CONGESTION},
      {kSolUdp, 1 /* UDP_CORK */},
      {kSolUdplite, 1},
      {kSolUdp, 100 /* UDP_ENCAP */},
      {kSolUdplite, 100},
      // What is so at the moment.
      {IPPROTO_TCP, TCP_TIMESTAMP},
      {SOL_IP, IP_MTU},
      {SOL_IPV6, IPV6_MTU},
      {SOL_SOCKET, 55 /* SO_MEMINFO */},
      // Shows the segments' size, which is not what was set: cr/tcp_segments.
      {IPPROTO_TCP, TCP_MAXSEG},
      // Headers that go with each packet, which are refused.
      {SOL_IP, IP_OPTIONS},
      {SOL_IPV6, IPV6_HOPOPTS},
      {SOL_IPV6, IPV6_RTHDR},
      {SOL_IPV6, IPV6_DSTOPTS},
      {SOL_IPV6, IPV6_RTHDRDSTOPTS},
      {SOL_IPV6, 6 /* IPV6_2292PKTOPTIONS */},
      {SOL_IPV6, IPV6_ADDRFORM},
      {SOL_IPV6, IPV6_JOIN_ANYCAST},
      {SOL_IPV6, IPV6_ADD_MEMBERSHIP},
  };
  return std::ranges::find(kActions, std::pair{level, name}) != std::end(kActions);
}

// SO_TXREHASH is kept where it means something; newer kernels refuse it elsewhere.
bool is_meaningless(const Kind& kind, int level, int name) {
  constexpr int kTxRehash = 74;
  const bool tcp = kind.type == SOCK_STREAM && kind.family != AF_UNIX;
  return level == SOL_SOCKET && name == kTxRehash && !tcp;
}

// Of a connection: what bind(2) has set, which its plan needs (net/ipv6/af_inet6.c:__inet6_bind()), and what
// the kernel noted of the last packets (net/core/sock.c:sk_incoming_cpu_update(),
// net/ipv6/tcp_ipv6.c:tcp_v6_do_rcv()).
bool is_of_packets(const std::pair<int, int>& option) {
  constexpr std::pair<int, int> kNoted[] = {{SOL_IPV6, IPV6_V6ONLY},
                                            {SOL_IPV6, IPV6_MULTICAST_IF},
                                            {SOL_IPV6, IPV6_MULTICAST_HOPS},
                                            {SOL_SOCKET, SO_INCOMING_CPU}};
  return std::ranges::find(kNoted, option) != std::end(kNoted);
}

std::string read(int fd, int level, int name) {
  char value[8] = {};
  socklen_t len = sizeof(int);
  if (::getsockopt(fd, level, name, value, &len) != 0) return "none";
  std::string text;
  for (socklen_t i = 0; i < len && i < sizeof value; i++)
    text += std::to_string(static_cast<unsigned char>(value[i])) + ".";
  return text;
}

struct Tried {
  int fd = -1, partner = -1;
  const Kind* kind = nullptr;
  std::map<std::pair<int, int>, std::string> settings;
};

Tried made(const Kind& kind) {
  using namespace cr;
  Tried tried;
  tried.kind = &kind;
  if (!kind.connected) {
    tried.fd = ::socket(kind.family, kind.type, kind.protocol);
    return tried;
  }
  const int listener = listener_on(kind.family == AF_INET ? "127.0.0.1" : "::1");
  const Connection c = connect_to(listener);
  ::close(listener);
  tried.fd = c.client;
  tried.partner = c.server;
  return tried;
}

}  // namespace

cr::Options cr::options() {
  return {.dump_args = {"--tcp-established"}};
}

void cr::test() {
  // Who may have sockets for ICMP echo requests; a setting of the network namespace.
  set_setting("ipv4/ping_group_range", "0 65535");
  std::vector<Tried> all;
  for (const Kind& kind : kKinds) {
    Tried tried = made(kind);
    if (tried.fd < 0) {
      std::printf("not here: %s\n", kind.name);
      continue;
    }
    for (const int level : kLevels)
      for (int name = 1; name <= kMostNames; name++) {
        if (is_action(level, name) || is_meaningless(kind, level, name)) continue;
        const std::string before = read(tried.fd, level, name);
        if (before == "none") continue;
        // The first that it takes and shows. Of TCP no seconds that are over before the checkpoint on a slow
        // machine.
        const int first = level == IPPROTO_TCP ? 100 : 1;
        for (const int value : {first, 1, 2, 0, 20, 1000, 100000}) {
          if (::setsockopt(tried.fd, level, name, &value, sizeof value) != 0) continue;
          if (const std::string after = read(tried.fd, level, name); after != before) break;
        }
      }
    // One may have changed what another one had shown.
    for (const int level : kLevels)
      for (int name = 1; name <= kMostNames; name++)
        if (!is_action(level, name) && !is_meaningless(kind, level, name))
          tried.settings[{level, name}] = read(tried.fd, level, name);
    all.push_back(std::move(tried));
  }

  checkpoint_here();

  for (const Tried& tried : all)
    for (const auto& [option, value] : tried.settings) {
      const std::string now = read(tried.fd, option.first, option.second);
      if (now == value) continue;
      if (tried.kind->connected && is_of_packets(option)) continue;
      std::printf("%s: option %d of level %d: %s before, %s now\n", tried.kind->name, option.second,
                  option.first, value.c_str(), now.c_str());
      CHECK_EQ(now, value);
    }
}
