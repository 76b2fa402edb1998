// SPDX-License-Identifier: Apache-2.0
#include "kinds/inet.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>

#include "base/fd.h"
#include "bpf/kinds/inet_queue.h"
#include "bpf/kinds/socket.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint32_t kBindAddressLock = 4;  // include/net/sock.h: SOCK_BINDADDR_LOCK
constexpr std::uint32_t kBindPortLock = 8;     // SOCK_BINDPORT_LOCK
constexpr std::size_t kAddressBytes = 16;
constexpr int kMostOptions = 256;
constexpr int kMostMemberships = 65536;
constexpr std::uint8_t kMappedPrefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// Options that can be read and set in the same form. Numbers are those of include/uapi/linux/in.h and in6.h,
// as far as glibc's headers may lack them.
struct Option {
  int level, name;
  socklen_t len_bytes = sizeof(int);
};
constexpr Option kIpOptions[] = {
    {SOL_IP, IP_TOS},
    {SOL_IP, IP_TTL},
    {SOL_IP, IP_RECVOPTS},
    {SOL_IP, IP_RETOPTS},
    {SOL_IP, IP_PKTINFO},
    {SOL_IP, IP_MTU_DISCOVER},
    {SOL_IP, IP_RECVERR},
    {SOL_IP, IP_RECVTTL},
    {SOL_IP, IP_RECVTOS},
    {SOL_IP, IP_FREEBIND},
    {SOL_IP, IP_PASSSEC},
    {SOL_IP, IP_TRANSPARENT},
    {SOL_IP, IP_RECVORIGDSTADDR},
    {SOL_IP, IP_MINTTL},
    {SOL_IP, 22},  // IP_NODEFRAG, of raw sockets
    {SOL_IP, 23},  // IP_CHECKSUM
    {SOL_IP, IP_BIND_ADDRESS_NO_PORT},
    {SOL_IP, 25},  // IP_RECVFRAGSIZE
    {SOL_IP, 26},  // IP_RECVERR_RFC4884, since 5.9
    {SOL_IP, IP_MULTICAST_TTL},
    {SOL_IP, IP_MULTICAST_LOOP},
    {SOL_IP, IP_MULTICAST_ALL},
    {SOL_IP, IP_UNICAST_IF},
    {SOL_IP, 51},  // IP_LOCAL_PORT_RANGE, since 6.3
};
constexpr Option kIpv6Options[] = {
    {SOL_IPV6, IPV6_UNICAST_HOPS},
    {SOL_IPV6, IPV6_MULTICAST_IF},
    {SOL_IPV6, IPV6_MULTICAST_HOPS},
    {SOL_IPV6, IPV6_MULTICAST_LOOP},
    {SOL_IPV6, 29},  // IPV6_MULTICAST_ALL
    {SOL_IPV6, 30},  // IPV6_ROUTER_ALERT_ISOLATE
    {SOL_IPV6, IPV6_MTU_DISCOVER},
    {SOL_IPV6, IPV6_RECVERR},
    {SOL_IPV6, 31},  // IPV6_RECVERR_RFC4884
    {SOL_IPV6, 11},  // IPV6_FLOWINFO
    {SOL_IPV6, 33},  // IPV6_FLOWINFO_SEND
    {SOL_IPV6, 3},   // IPV6_2292HOPOPTS
    {SOL_IPV6, 4},   // IPV6_2292DSTOPTS
    {SOL_IPV6, 5},   // IPV6_2292RTHDR
    {SOL_IPV6, 2},   // IPV6_2292PKTINFO
    {SOL_IPV6, 8},   // IPV6_2292HOPLIMIT
    {SOL_IPV6, IPV6_RECVPKTINFO},
    {SOL_IPV6, IPV6_RECVHOPLIMIT},
    {SOL_IPV6, IPV6_RECVHOPOPTS},
    {SOL_IPV6, IPV6_RECVRTHDR},
    {SOL_IPV6, IPV6_RECVDSTOPTS},
    {SOL_IPV6, IPV6_RECVPATHMTU},
    {SOL_IPV6, IPV6_DONTFRAG},
    {SOL_IPV6, IPV6_RECVTCLASS},
    {SOL_IPV6, IPV6_TCLASS},
    {SOL_IPV6, IPV6_AUTOFLOWLABEL},
    {SOL_IPV6, IPV6_ADDR_PREFERENCES},
    {SOL_IPV6, IPV6_MINHOPCOUNT},
    {SOL_IPV6, IPV6_RECVORIGDSTADDR},
    {SOL_IPV6, IPV6_TRANSPARENT},
    {SOL_IPV6, IPV6_UNICAST_IF},
    {SOL_IPV6, IPV6_RECVFRAGSIZE},
    {SOL_IPV6, IPV6_FREEBIND},
};
// Not here: TCP_MAXSEG and TCP_WINDOW_CLAMP, which getsockopt(2) shows otherwise than they were set.
constexpr Option kTcpOptions[] = {
    {IPPROTO_TCP, TCP_NODELAY},
    {IPPROTO_TCP, TCP_CORK},
    {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},
    {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_SYNCNT},
    {IPPROTO_TCP, TCP_LINGER2},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {IPPROTO_TCP, TCP_USER_TIMEOUT},
    {IPPROTO_TCP, TCP_THIN_LINEAR_TIMEOUTS},
    {IPPROTO_TCP, TCP_FASTOPEN},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {IPPROTO_TCP, TCP_SAVE_SYN},
    {IPPROTO_TCP, TCP_FASTOPEN_CONNECT},
    {IPPROTO_TCP, 34},  // TCP_FASTOPEN_NO_COOKIE
    {IPPROTO_TCP, 36},  // TCP_INQ
    {IPPROTO_TCP, 37},  // TCP_TX_DELAY
    {IPPROTO_TCP, 44},  // TCP_RTO_MAX_MS, since 6.15
    {IPPROTO_TCP, 45},  // TCP_RTO_MIN_US, since 6.15
    {IPPROTO_TCP, 46},  // TCP_DELACK_MAX_US, since 6.15
};
constexpr Option kUdpOptions[] = {
    {IPPROTO_UDP, 1},    // UDP_CORK
    {IPPROTO_UDP, 100},  // UDP_ENCAP
    {IPPROTO_UDP, 101},  // UDP_NO_CHECK6_TX
    {IPPROTO_UDP, 102},  // UDP_NO_CHECK6_RX
    {IPPROTO_UDP, 103},  // UDP_SEGMENT
    {IPPROTO_UDP, 104},  // UDP_GRO
};
constexpr Option kUdpliteOptions[] = {
    {IPPROTO_UDPLITE, 10},  // UDPLITE_SEND_CSCOV
    {IPPROTO_UDPLITE, 11},  // UDPLITE_RECV_CSCOV
};
constexpr Option kRawOptions[] = {
    {SOL_IP, IP_HDRINCL}, {SOL_IP, IP_ROUTER_ALERT}, {SOL_RAW, 1, 4},  // ICMP_FILTER
};
constexpr Option kRawV6Options[] = {
    {SOL_IPV6, 36},       // IPV6_HDRINCL
    {SOL_RAW, 7},         // IPV6_CHECKSUM
    {SOL_ICMPV6, 1, 32},  // ICMPV6_FILTER
};
// Always kept: what a new socket has is a setting of the machine, and the algorithm is the connection's.
constexpr Option kCongestion = {IPPROTO_TCP, TCP_CONGESTION, 16};
constexpr socklen_t kMostOptionBytes = 64;

std::string read(int fd, const Option& option) {
  std::array<char, kMostOptionBytes> value{};
  socklen_t len = option.len_bytes;
  if (::getsockopt(fd, option.level, option.name, value.data(), &len) != 0) return {};
  return {value.data(), std::min<std::size_t>(len, value.size())};
}

// A TCP connection keeps in these fields how its first packet came
// (net/ipv4/tcp_ipv4.c:tcp_v4_syn_recv_sock()); nobody can set them.
bool is_of_first_packet(const Option& option) {
  if (option.level == SOL_IP) return option.name == IP_MULTICAST_TTL;
  return option.level == SOL_IPV6 && (option.name == IPV6_MULTICAST_IF || option.name == IPV6_MULTICAST_HOPS);
}

void add(const Option& option, std::string value, pb::InetSocket& inet) {
  pb::SocketOption& out = *inet.add_options();
  out.set_level(option.level);
  out.set_name(option.name);
  out.set_value(std::move(value));
}

std::string address(const std::uint8_t (&bytes)[16]) {
  return {reinterpret_cast<const char*>(bytes), sizeof bytes};
}

}  // namespace

bool is_mapped(std::string_view address) {
  return address.size() == kAddressBytes &&
         std::memcmp(address.data(), kMappedPrefix, sizeof kMappedPrefix) == 0;
}

bool is_any(std::string_view address) {
  std::string_view bytes = is_mapped(address) ? address.substr(12) : address;
  return std::ranges::all_of(bytes, [](char c) { return c == 0; });
}

bool is_multicast(std::string_view address) {
  if (address.size() != kAddressBytes) return false;
  if (is_mapped(address)) return (static_cast<std::uint8_t>(address[12]) & 0xf0) == 0xe0;
  return static_cast<std::uint8_t>(address[0]) == 0xff;
}

std::string endpoint(std::string_view address, std::uint32_t port) {
  char text[INET6_ADDRSTRLEN] = "?";
  if (is_mapped(address)) {
    ::inet_ntop(AF_INET, address.data() + 12, text, sizeof text);
    return fmt::format("{}:{}", text, port);
  }
  if (address.size() == kAddressBytes) ::inet_ntop(AF_INET6, address.data(), text, sizeof text);
  return fmt::format("[{}]:{}", text, port);
}

void describe_inet(const socket_record& record, pb::InetSocket& inet) {
  const inet_record& part = record.detail.inet;
  inet.set_local_address(address(part.local));
  inet.set_bound_address(address(part.bound));
  inet.set_remote_address(address(part.remote));
  inet.set_local_port(ntohs(part.local_port));
  inet.set_remote_port(ntohs(part.remote_port));
  inet.set_address_bound((record.buffer_locks & kBindAddressLock) != 0);
  inet.set_port_bound((record.buffer_locks & kBindPortLock) != 0);
  inet.set_scope(static_cast<std::uint32_t>(record.device));
  inet.set_ipv6_only((part.flags & INET_IPV6_ONLY) != 0);
  inet.set_header_options((part.flags & INET_IP_OPTIONS) != 0);
  inet.set_anycast((part.flags & INET_ANYCAST) != 0);
  inet.set_reuseport_program((part.flags & INET_REUSEPORT_PROGRAM) != 0);
  // IP_MULTICAST_IF: getsockopt(2) shows the address only (net/ipv4/ip_sockglue.c).
  inet.set_multicast_interface(static_cast<std::uint32_t>(part.options[3] >> 32));
  if (const auto multicast = static_cast<std::uint32_t>(part.options[3]); multicast != 0)
    inet.set_multicast_address(std::string(reinterpret_cast<const char*>(&multicast), 4));
}

Result<void> look_at_inet_options(int fd, const pb::Socket& socket, pb::InetSocket& inet) {
  Fd fresh(::socket(static_cast<int>(socket.family()), static_cast<int>(socket.type()) | SOCK_CLOEXEC,
                    static_cast<int>(socket.protocol())));
  if (!fresh) return fail(Error::system("socket to compare with"));
  const bool stream = socket.type() == SOCK_STREAM;
  auto look = [&](std::span<const Option> options) {
    for (const Option& option : options) {
      if (stream && is_of_first_packet(option)) continue;
      std::string value = read(fd, option);
      if (!value.empty() && value != read(fresh.get(), option)) add(option, std::move(value), inet);
    }
  };
  inet.clear_options();
  const bool v6 = socket.family() == AF_INET6, raw = socket.type() == SOCK_RAW;
  if (!v6 || !raw) look(kIpOptions);
  if (v6) look(kIpv6Options);
  if (raw) look(v6 ? std::span<const Option>(kRawV6Options) : std::span<const Option>(kRawOptions));
  if (stream) {
    look(kTcpOptions);
    add(kCongestion, read(fd, kCongestion), inet);
  } else if (socket.type() == SOCK_DGRAM && socket.protocol() == IPPROTO_UDP) {
    look(kUdpOptions);
  } else if (socket.type() == SOCK_DGRAM && socket.protocol() == IPPROTO_UDPLITE) {
    look(kUdpOptions);
    look(kUdpliteOptions);
  }
  return {};
}

// What a new one has is a setting of the machine (net.ipv6.bindv6only), and 1 for echoes of ICMP
// (net/ipv4/ping.c:ping_init_sock()). Raw sockets show the setting, and do not take it.
void plan_ipv6_only(PlanBuilder& plan, Operand fd, const pb::Socket& socket, const pb::InetSocket& inet) {
  if (socket.family() != AF_INET6 || socket.type() == SOCK_RAW) return;
  // bind(2) to an address of IPv6 sets it (net/ipv6/af_inet6.c:__inet6_bind()), to a mapped one wants it off.
  const std::string& bound = inet.bound_address();
  const bool binds = socket.type() == SOCK_STREAM || inet.address_bound();
  if (binds && socket.protocol() != IPPROTO_ICMPV6 && !is_any(bound) && !is_mapped(bound)) return;
  const std::int32_t only = inet.ipv6_only() ? 1 : 0;
  plan.call(kSelf, SYS_setsockopt,
            {fd, SOL_IPV6, IPV6_V6ONLY, Operand::data(plan.bytes_of(only)), sizeof only}, "IPv6 only");
}

void plan_inet_options(PlanBuilder& plan, Operand fd, const pb::Socket& socket, const pb::InetSocket& inet) {
  for (const pb::SocketOption& option : inet.options())
    plan.call(kSelf, SYS_setsockopt,
              {fd, option.level(), option.name(),
               Operand::data(plan.data(std::as_bytes(std::span(option.value())))), option.value().size()},
              "option");
  if (inet.multicast_interface() == 0 && inet.multicast_address().empty()) return;
  if (socket.family() != AF_INET || socket.type() == SOCK_STREAM) return;
  ip_mreqn from{};
  from.imr_ifindex = static_cast<int>(inet.multicast_interface());
  if (inet.multicast_address().size() == 4)
    std::memcpy(&from.imr_address, inet.multicast_address().data(), 4);
  plan.call(kSelf, SYS_setsockopt,
            {fd, SOL_IP, IP_MULTICAST_IF, Operand::data(plan.bytes_of(from)), sizeof from},
            "multicast interface");
}

void add_membership(const inet_membership_record& record, pb::InetSocket& inet) {
  const std::size_t bytes = record.ipv6 != 0 ? kAddressBytes : 4;
  if (record.sources_count > INET_SOURCES) inet.set_more_sources(true);
  pb::Membership& membership = *inet.add_memberships();
  membership.set_group(std::string(reinterpret_cast<const char*>(record.group), bytes));
  membership.set_interface(record.interface);
  if (record.ipv6 == 0 && record.address != 0)
    membership.set_interface_address(std::string(reinterpret_cast<const char*>(&record.address), 4));
  membership.set_mode(record.mode);
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(record.sources_count, INET_SOURCES); i++)
    membership.add_sources(std::string(reinterpret_cast<const char*>(record.sources) + i * bytes, bytes));
}

void plan_memberships(PlanBuilder& plan, Operand fd, const pb::Socket&, const pb::InetSocket& inet) {
  // struct group_filter (RFC 3678): as many sources as there are.
  struct Filter {
    std::uint32_t interface;
    std::uint32_t pad;
    sockaddr_storage group;
    std::uint32_t mode;
    std::uint32_t count;
  };
  // The newest is the kernel's first.
  for (int i = inet.memberships_size() - 1; i >= 0; i--) {
    const pb::Membership& membership = inet.memberships(i);
    const bool v4 = membership.group().size() == 4;
    auto put = [&](std::string_view bytes) {
      sockaddr_storage out{};
      if (v4) {
        auto& in = reinterpret_cast<sockaddr_in&>(out);
        in.sin_family = AF_INET;
        std::memcpy(&in.sin_addr, bytes.data(), 4);
      } else {
        auto& in = reinterpret_cast<sockaddr_in6&>(out);
        in.sin6_family = AF_INET6;
        std::memcpy(&in.sin6_addr, bytes.data(), 16);
      }
      return out;
    };
    if (v4) {
      ip_mreqn join{};
      std::memcpy(&join.imr_multiaddr, membership.group().data(), 4);
      if (membership.interface_address().size() == 4)
        std::memcpy(&join.imr_address, membership.interface_address().data(), 4);
      join.imr_ifindex = static_cast<int>(membership.interface());
      plan.call(kSelf, SYS_setsockopt,
                {fd, SOL_IP, IP_ADD_MEMBERSHIP, Operand::data(plan.bytes_of(join)), sizeof join},
                "multicast group");
    } else {
      ipv6_mreq join{};
      std::memcpy(&join.ipv6mr_multiaddr, membership.group().data(), 16);
      join.ipv6mr_interface = membership.interface();
      plan.call(kSelf, SYS_setsockopt,
                {fd, SOL_IPV6, IPV6_ADD_MEMBERSHIP, Operand::data(plan.bytes_of(join)), sizeof join},
                "multicast group");
    }
    if (membership.sources().empty() && membership.mode() == MCAST_EXCLUDE) continue;
    Filter filter{};
    filter.interface = membership.interface();
    filter.group = put(membership.group());
    filter.mode = membership.mode();
    filter.count = static_cast<std::uint32_t>(membership.sources_size());
    std::string bytes(reinterpret_cast<const char*>(&filter), sizeof filter);
    for (const std::string& source : membership.sources()) {
      const sockaddr_storage one = put(source);
      bytes.append(reinterpret_cast<const char*>(&one), sizeof one);
    }
    plan.call(kSelf, SYS_setsockopt,
              {fd, v4 ? SOL_IP : SOL_IPV6, MCAST_MSFILTER,
               Operand::data(plan.data(std::as_bytes(std::span(bytes)))), bytes.size()},
              "multicast sources");
  }
}

SocketAddress socket_address(std::uint32_t family, std::string_view address, std::uint32_t port,
                             std::uint32_t scope) {
  SocketAddress out;
  out.storage.ss_family = static_cast<sa_family_t>(family);
  if (family == AF_INET) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(out.storage);
    v4.sin_port = htons(static_cast<std::uint16_t>(port));
    if (address.size() == kAddressBytes) std::memcpy(&v4.sin_addr, address.data() + 12, 4);
    out.len_bytes = sizeof v4;
    return out;
  }
  auto& v6 = reinterpret_cast<sockaddr_in6&>(out.storage);
  v6.sin6_port = htons(static_cast<std::uint16_t>(port));
  if (address.size() == kAddressBytes) std::memcpy(&v6.sin6_addr, address.data(), kAddressBytes);
  if (IN6_IS_ADDR_LINKLOCAL(&v6.sin6_addr) || IN6_IS_ADDR_MC_LINKLOCAL(&v6.sin6_addr))
    v6.sin6_scope_id = scope;
  out.len_bytes = sizeof v6;
  return out;
}

namespace {

DataId address_block(PlanBuilder& plan, const SocketAddress& address) {
  return plan.data(std::as_bytes(std::span(&address.storage, 1)).first(address.len_bytes));
}

}  // namespace

OpId plan_bind(PlanBuilder& plan, Operand fd, const SocketAddress& address) {
  return plan.call(kSelf, SYS_bind, {fd, Operand::data(address_block(plan, address)), address.len_bytes});
}

OpId plan_connect(PlanBuilder& plan, Operand fd, const SocketAddress& address) {
  return plan.call(kSelf, SYS_connect, {fd, Operand::data(address_block(plan, address)), address.len_bytes});
}

std::string address_to_bind(const pb::Socket& socket, const pb::InetSocket& inet) {
  if (inet.address_bound()) return inet.bound_address();
  return socket.family() == AF_INET ? std::string("\0\0\0\0\0\0\0\0\0\0\xff\xff\0\0\0\0", 16)
                                    : std::string(kAddressBytes, '\0');
}

void plan_names(PlanBuilder& plan, Operand fd, const pb::Socket& socket, const pb::InetSocket& inet) {
  const bool connected = inet.remote_port() != 0 || !is_any(inet.remote_address());
  if (inet.local_port() != 0 || inet.address_bound()) {
    // connect(2) chooses an address that bind(2) left open.
    plan_bind(
        plan, fd,
        socket_address(socket.family(), address_to_bind(socket, inet), inet.local_port(), inet.scope()));
  }
  if (connected)
    plan_connect(plan, fd,
                 socket_address(socket.family(), inet.remote_address(), inet.remote_port(), inet.scope()));
}

void plan_shutdown(PlanBuilder& plan, Operand fd, const pb::Socket& socket) {
  if (socket.shutdown() == 0) return;
  // Done, and yet ENOTCONN, where it is not connected (net/ipv4/af_inet.c:inet_shutdown()).
  plan.try_call(kSelf, SYS_shutdown, {fd, socket.shutdown() - 1}, "shut down");
}

Finding judge_inet(const pb::InetSocket& inet) {
  if (inet.header_options())
    return {Verdict::Unsupported, "socket-header-options",
            "headers go with each of its packets that cannot be read back (IP_OPTIONS, IPV6_RTHDR)", ""};
  if (inet.anycast())
    return {Verdict::Unsupported, "socket-anycast", "it joined anycast groups (IPV6_JOIN_ANYCAST)", ""};
  if (inet.more_sources())
    return {
        Verdict::Unsupported, "socket-multicast-sources",
        fmt::format("it joined a multicast group with more than {} sources", static_cast<int>(INET_SOURCES)),
        ""};
  if (inet.reuseport_program())
    return {Verdict::Unsupported, "socket-reuseport-program",
            "a program chooses among the sockets of its port (SO_ATTACH_REUSEPORT_CBPF), which cannot be "
            "read back",
            ""};
  return {};
}

Result<void> check_inet(const pb::Socket& socket, const pb::InetSocket& inet, std::string_view what) {
  auto bad = [&](std::string_view why) { return fail(Error::bad_image(fmt::format("{}: {}", what, why))); };
  if (socket.family() != AF_INET && socket.family() != AF_INET6) return bad("not of an Internet family");
  for (const std::string* address : {&inet.local_address(), &inet.bound_address(), &inet.remote_address()}) {
    if (address->size() != kAddressBytes) return bad("bad address");
    if (socket.family() == AF_INET && !is_mapped(*address)) return bad("no IPv4 address");
  }
  if (inet.local_port() > 65535 || inet.remote_port() > 65535) return bad("bad port");
  if (inet.options_size() > kMostOptions) return bad("too many options");
  for (const pb::SocketOption& option : inet.options())
    if (option.value().size() > kMostOptionBytes)
      return bad(fmt::format("option {} is too long", option.name()));
  if (!inet.multicast_address().empty() && inet.multicast_address().size() != 4) return bad("bad address");
  if (inet.memberships_size() > kMostMemberships) return bad("too many multicast groups");
  for (const pb::Membership& membership : inet.memberships()) {
    const std::size_t size = membership.group().size();
    if (size != 4 && size != kAddressBytes) return bad("bad multicast group");
    if (!membership.interface_address().empty() && membership.interface_address().size() != 4)
      return bad("bad multicast interface");
    if (membership.mode() > 1 || membership.sources_size() > kMostMemberships)
      return bad("bad multicast filter");
    for (const std::string& source : membership.sources())
      if (source.size() != size) return bad("bad multicast source");
  }
  return {};
}

}  // namespace bpfckpt::kinds
