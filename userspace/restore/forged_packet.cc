// SPDX-License-Identifier: Apache-2.0
#include "restore/forged_packet.h"

#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <sys/socket.h>

#include <cstring>
#include <span>
#include <vector>

#include "base/internet_checksum.h"
#include "bpf/network_lock/network_lock.h"

namespace bpfckpt::restore {
namespace {

// RFC 9293, 3.1
struct TcpHeader {
  std::uint16_t source, destination;
  std::uint32_t sequence, acknowledgement;
  std::uint8_t length, flags;
  std::uint16_t window, checksum, urgent;
};
static_assert(sizeof(TcpHeader) == 20);

struct PseudoHeader {
  std::uint8_t source[16], destination[16];  // an IPv4 address is in the last four bytes, after zeroes
  std::uint32_t length;
  std::uint32_t protocol;
};

template <class Header>
std::span<const std::uint8_t> bytes_of(const Header& header) {
  return {reinterpret_cast<const std::uint8_t*>(&header), sizeof header};
}

struct Ends {
  sockaddr_storage local{}, remote{};
};

// As the packets have them: IPv4 where the addresses are mapped.
void unmap(sockaddr_storage& address) {
  if (address.ss_family != AF_INET6) return;
  const auto v6 = reinterpret_cast<const sockaddr_in6&>(address);
  if (!IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return;
  address = {};
  auto& v4 = reinterpret_cast<sockaddr_in&>(address);
  v4.sin_family = AF_INET;
  v4.sin_port = v6.sin6_port;
  std::memcpy(&v4.sin_addr, v6.sin6_addr.s6_addr + 12, 4);
}

Result<Ends> ends_of(int fd) {
  Ends ends;
  socklen_t len = sizeof ends.local;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&ends.local), &len) != 0)
    return fail(Error::system("getsockname"));
  len = sizeof ends.remote;
  if (::getpeername(fd, reinterpret_cast<sockaddr*>(&ends.remote), &len) != 0)
    return fail(Error::system("getpeername"));
  unmap(ends.local);
  unmap(ends.remote);
  return ends;
}

}  // namespace

Result<int> PacketForger::raw_socket(int family) {
  Fd& fd = family == AF_INET ? v4_ : v6_;
  if (fd) return fd.get();
  // IPPROTO_RAW: the header is ours, for both families.
  Fd made(::socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!made) return fail(Error::system("raw socket"));
  const std::uint32_t mark = LOCK_PASS_MARK;
  if (::setsockopt(made.get(), SOL_SOCKET, SO_MARK, &mark, sizeof mark) != 0)
    return fail(Error::system("SO_MARK"));
  fd = std::move(made);
  return fd.get();
}

Result<void> PacketForger::send(int fd, std::uint8_t flags, std::uint32_t sequence,
                                std::uint32_t acknowledgement) {
  TRY_ASSIGN(Ends ends, ends_of(fd));
  TcpHeader tcp{};
  tcp.sequence = htonl(sequence);
  tcp.acknowledgement = htonl(acknowledgement);
  tcp.length = sizeof tcp / 4 << 4;
  tcp.flags = flags;
  PseudoHeader pseudo{};
  pseudo.length = htonl(sizeof tcp);
  pseudo.protocol = htonl(IPPROTO_TCP);

  std::vector<std::uint8_t> packet;
  auto put = [&](const auto& header) {
    const std::span<const std::uint8_t> bytes = bytes_of(header);
    packet.insert(packet.end(), bytes.begin(), bytes.end());
  };
  sockaddr_storage to = ends.local;
  socklen_t to_len = 0;
  if (ends.local.ss_family == AF_INET) {
    auto& local = reinterpret_cast<sockaddr_in&>(ends.local);
    auto& remote = reinterpret_cast<sockaddr_in&>(ends.remote);
    tcp.source = remote.sin_port;
    tcp.destination = local.sin_port;
    std::memcpy(pseudo.source + 12, &remote.sin_addr, 4);
    std::memcpy(pseudo.destination + 12, &local.sin_addr, 4);
    iphdr ip{};
    ip.version = 4;
    ip.ihl = sizeof ip / 4;
    ip.tot_len = htons(sizeof ip + sizeof tcp);
    ip.ttl = 255;  // passes IP_MINTTL
    ip.protocol = IPPROTO_TCP;
    ip.saddr = remote.sin_addr.s_addr;
    ip.daddr = local.sin_addr.s_addr;
    put(ip);  // the kernel fills in identification and checksum
    reinterpret_cast<sockaddr_in&>(to).sin_port = 0;
    to_len = sizeof(sockaddr_in);
  } else {
    auto& local = reinterpret_cast<sockaddr_in6&>(ends.local);
    auto& remote = reinterpret_cast<sockaddr_in6&>(ends.remote);
    tcp.source = remote.sin6_port;
    tcp.destination = local.sin6_port;
    std::memcpy(pseudo.source, &remote.sin6_addr, 16);
    std::memcpy(pseudo.destination, &local.sin6_addr, 16);
    ip6_hdr ip{};
    ip.ip6_vfc = 6 << 4;
    ip.ip6_plen = htons(sizeof tcp);
    ip.ip6_nxt = IPPROTO_TCP;
    ip.ip6_hlim = 255;
    ip.ip6_src = remote.sin6_addr;
    ip.ip6_dst = local.sin6_addr;
    put(ip);
    reinterpret_cast<sockaddr_in6&>(to).sin6_port = 0;
    to_len = sizeof(sockaddr_in6);
  }
  tcp.checksum = static_cast<std::uint16_t>(~internet_sum(bytes_of(tcp), internet_sum(bytes_of(pseudo))));
  put(tcp);
  TRY_ASSIGN(const int raw, raw_socket(ends.local.ss_family));
  if (::sendto(raw, packet.data(), packet.size(), 0, reinterpret_cast<sockaddr*>(&to), to_len) < 0)
    return fail(Error::system("send in the other end's name"));
  return {};
}

}  // namespace bpfckpt::restore
