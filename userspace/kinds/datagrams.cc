// SPDX-License-Identifier: Apache-2.0
#include "kinds/datagrams.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <algorithm>

#include "base/internet_checksum.h"
#include "bpf/kinds/inet_queue.h"
#include "kinds/inet.h"
#include "kinds/peek_offset.h"
#include "kinds/socket.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::size_t kMostPayload = 65507;  // of IPv4; of IPv6 as much as passes the loopback device's MTU
constexpr std::size_t kMostPayloadV6 = 65536 - sizeof(ip6_hdr) - sizeof(udphdr);
constexpr int kMostDatagrams = 1 << 20;
constexpr int kNoCheck6Receive = 102;  // include/uapi/linux/udp.h: UDP_NO_CHECK6_RX
constexpr int kPatienceSeconds = 5;
// Of a port that is still to be known, in struct sockaddr_in and sockaddr_in6 alike.
constexpr std::size_t kPortOffset = offsetof(sockaddr_in, sin_port);
static_assert(kPortOffset == offsetof(sockaddr_in6, sin6_port));

bool is_link_local(std::string_view address) {
  return address.size() == 16 && static_cast<std::uint8_t>(address[0]) == 0xfe &&
         (static_cast<std::uint8_t>(address[1]) & 0xc0) == 0x80;
}

// Of what the headers sum up to and the payload, as far as the checksum covers it (net/ipv4/udp.c:
// udp_csum_pull_header(), RFC 3828).
bool is_sum_right(const inet_datagram_record& record, bool lite, std::span<const std::uint8_t> payload) {
  const std::size_t coverage = ntohs(record.coverage);
  if (lite && coverage >= sizeof(udphdr))
    payload = payload.first(std::min(payload.size(), coverage - sizeof(udphdr)));
  return internet_sum(payload, record.sum) == 0xffff;
}

// What the checksum covers besides (RFC 768, RFC 8200 8.1), as a sum.
std::uint16_t pseudo_header_sum(std::string_view addresses, std::size_t len_bytes, std::uint8_t protocol) {
  std::string all(addresses);
  const std::uint32_t rest[2] = {htonl(static_cast<std::uint32_t>(len_bytes)), htonl(protocol)};
  all.append(reinterpret_cast<const char*>(rest), sizeof rest);
  return internet_sum({reinterpret_cast<const std::uint8_t*>(all.data()), all.size()});
}

// UDP comes without a checksum. UDP-Lite does not: what the pseudo header sums up to is in its place.
std::string packet_of(const pb::Datagram& datagram, std::uint8_t protocol) {
  const bool lite = protocol == IPPROTO_UDPLITE;
  const auto udp_bytes = static_cast<std::uint16_t>(sizeof(udphdr) + datagram.payload().size());
  std::string packet;
  auto put = [&](const auto& header) {
    packet.append(reinterpret_cast<const char*>(&header), sizeof header);
  };
  if (is_mapped(datagram.source())) {
    iphdr ip{};
    ip.version = 4;
    ip.ihl = sizeof ip / 4;
    ip.tos = static_cast<std::uint8_t>(datagram.tos());
    ip.tot_len = htons(static_cast<std::uint16_t>(sizeof ip + udp_bytes));
    ip.ttl = static_cast<std::uint8_t>(datagram.ttl());
    ip.protocol = protocol;
    std::memcpy(&ip.saddr, datagram.source().data() + 12, 4);
    std::memcpy(&ip.daddr, datagram.destination().data() + 12, 4);
    put(ip);  // the kernel fills in identification and checksum
  } else {
    ip6_hdr ip{};
    ip.ip6_flow = htonl(6u << 28 | (datagram.tos() & 0xff) << 20 | (datagram.flow() & 0xfffff));
    ip.ip6_plen = htons(udp_bytes);
    ip.ip6_nxt = protocol;
    ip.ip6_hlim = static_cast<std::uint8_t>(datagram.ttl());
    std::memcpy(&ip.ip6_src, datagram.source().data(), 16);
    std::memcpy(&ip.ip6_dst, datagram.destination().data(), 16);
    // One for a group would go to who is a member.
    if (is_multicast(datagram.destination())) ip.ip6_dst = in6addr_loopback;
    put(ip);
  }
  udphdr udp{};
  udp.source = htons(static_cast<std::uint16_t>(datagram.source_port()));
  // Of UDP-Lite it is what the checksum covers; 0: all.
  udp.len = lite ? 0 : htons(udp_bytes);
  if (lite) {
    const bool v4 = is_mapped(datagram.source());
    const std::string_view addresses = std::string_view(packet).substr(
        v4 ? offsetof(iphdr, saddr) : offsetof(ip6_hdr, ip6_src), v4 ? 8 : 32);
    udp.check = pseudo_header_sum(addresses, udp_bytes, protocol);
  }
  put(udp);
  return packet + datagram.payload();
}

class Sender {
 public:
  Sender(PlanBuilder& plan, Operand fd, const pb::Udp& udp) : plan_(plan), fd_(fd), udp_(udp) {}

  void run(std::uint32_t file_flags) {
    begin();
    for (const pb::Datagram& datagram : udp_.datagrams()) send(datagram);
    end(file_flags);
  }

 private:
  template <class T>
  void set(int level, int name, const T& value, const char* note = "") {
    plan_.call(kSelf, SYS_setsockopt, {fd_, level, name, Operand::data(plan_.bytes_of(value)), sizeof value},
               note);
  }

  // What a device's name, or a buffer that was full once, would keep out.
  void begin() {
    std::uint64_t room = udp_.common().receive_buffer();
    for (const pb::Datagram& datagram : udp_.datagrams()) room += datagram.payload().size() * 2 + 4096;
    set(SOL_SOCKET, SO_RCVBUFFORCE, static_cast<int>(std::min<std::uint64_t>(room, 1u << 30)),
        "to be filled");
    if (device() != nullptr) set(SOL_SOCKET, SO_BINDTODEVICE, '\0');
    if (!is_lite() && any_v6()) set(IPPROTO_UDP, kNoCheck6Receive, 1);
    set(SOL_SOCKET, SO_RCVTIMEO, timeval{kPatienceSeconds, 0});
    set(SOL_SOCKET, SO_PEEK_OFF, 0);
    plan_.call(kSelf, SYS_fcntl, {fd_, F_SETFL, 0});
    // Whoever it is for: of those that wait some may have come by IPv4.
    if (udp_.common().family() == AF_INET6) set(SOL_IPV6, IPV6_V6ONLY, 0);
    const SocketAddress any = socket_address(udp_.common().family(), std::string(16, '\0'), 0, 0);
    plan_bind(plan_, fd_, any);
    name_ = plan_.zeroes(sizeof(sockaddr_in6));
    plan_.call(kSelf, SYS_getsockname,
               {fd_, Operand::data(name_),
                Operand::data(plan_.bytes_of(static_cast<socklen_t>(sizeof(sockaddr_in6))))});
  }

  void send(const pb::Datagram& datagram) {
    const bool v4 = is_mapped(datagram.source());
    const std::string packet = packet_of(datagram, static_cast<std::uint8_t>(udp_.common().protocol()));
    const DataId block = plan_.data(std::as_bytes(std::span(packet)));
    const std::size_t header = v4 ? sizeof(iphdr) : sizeof(ip6_hdr);
    plan_.fix(block, header + offsetof(udphdr, dest), 2, Operand::field(name_, kPortOffset));
    if (is_lite())
      plan_.op(Op::Code::Checksum, kSelf,
               {Operand::data(block, header), packet.size() - header,
                Operand::data(block, header + offsetof(udphdr, check))},
               "of the datagram, with its port");
    // By way of the loopback device, whatever the header says.
    const SocketAddress to = socket_address(v4 ? AF_INET : AF_INET6, v4 ? kLoopbackV4 : kLoopbackV6, 0, 0);
    plan_.call_expecting(
        kSelf, packet.size(), SYS_sendto,
        {raw(v4), Operand::data(block), packet.size(), 0,
         Operand::data(plan_.data(std::as_bytes(std::span(&to.storage, 1)).first(to.len_bytes))),
         to.len_bytes},
        "datagram");
    plan_.call_expecting(kSelf, datagram.payload().size(), SYS_recvfrom,
                         {fd_, Operand::data(plan_.scratch(1)), 1, MSG_PEEK | MSG_TRUNC, 0, 0},
                         "arrives, unless a firewall is in its way");
  }

  void end(std::uint32_t file_flags) {
    for (const Operand& fd : raw_)
      if (fd.type == Operand::Type::Result) plan_.call(kSelf, SYS_close, {fd});
    const SocketAddress nowhere = socket_address(AF_UNSPEC, "", 0, 0);
    plan_.call(kSelf, SYS_connect,
               {fd_, Operand::data(plan_.bytes_of(nowhere.storage)), sizeof(sockaddr_in6)}, "no name again");
    // That has forgotten the device, too (net/ipv4/udp.c:__udp_disconnect()).
    if (const pb::SocketOption* option = device())
      plan_.call(
          kSelf, SYS_setsockopt,
          {fd_, SOL_SOCKET, SO_BINDTODEVICE,
           Operand::data(plan_.data(std::as_bytes(std::span(option->value())))), option->value().size()},
          "device");
    set(SOL_SOCKET, SO_PEEK_OFF, -1);
    set(SOL_SOCKET, SO_RCVTIMEO, timeval{});
    if (!is_lite() && any_v6())
      set(IPPROTO_UDP, kNoCheck6Receive, int_option(udp_.inet().options(), IPPROTO_UDP, kNoCheck6Receive, 0));
    plan_.call(kSelf, SYS_fcntl, {fd_, F_SETFL, file_flags & ~std::uint32_t{O_ASYNC}}, "flags of file");
  }

  Operand raw(bool v4) {
    Operand& fd = raw_[v4 ? 0 : 1];
    if (fd.type != Operand::Type::Result)
      fd = Operand::result(plan_.call(
          kSelf, SYS_socket, {v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW}, "raw socket"));
    return fd;
  }

  const pb::SocketOption* device() const {
    return find_option(udp_.common().options(), SOL_SOCKET, SO_BINDTODEVICE);
  }

  bool is_lite() const { return udp_.common().protocol() == IPPROTO_UDPLITE; }

  bool any_v6() const {
    return std::ranges::any_of(udp_.datagrams(), [](const auto& it) { return !is_mapped(it.source()); });
  }

  PlanBuilder& plan_;
  const Operand fd_;
  const pb::Udp& udp_;
  DataId name_ = 0;
  Operand raw_[2];
};

}  // namespace

void add_datagram(const inet_datagram_record& record, pb::Udp& udp) {
  const bool has_data =
      record.data_bytes != 0 && record.data_bytes <= record.head.record.length - sizeof record;
  const auto* data = reinterpret_cast<const std::uint8_t*>(&record + 1);
  // Whoever reads would not get it, and nor do those who look at it: it goes then.
  if (has_data && (record.flags & INET_DATAGRAM_UNCHECKED) != 0 &&
      !is_sum_right(record, udp.common().protocol() == IPPROTO_UDPLITE, {data, record.data_bytes}))
    return;
  pb::Datagram& datagram = *udp.add_datagrams();
  datagram.set_source(std::string(reinterpret_cast<const char*>(record.source), 16));
  datagram.set_source_port(ntohs(record.source_port));
  datagram.set_destination(std::string(reinterpret_cast<const char*>(record.destination), 16));
  datagram.set_ttl(record.ttl);
  datagram.set_tos(record.tos);
  datagram.set_flow(record.flow);
  datagram.set_length(record.length);
  datagram.set_segment(record.segment);
  if (has_data) datagram.set_payload(std::string(reinterpret_cast<const char*>(data), record.data_bytes));
}

Result<void> read_datagrams(int fd, pb::Udp& udp) {
  // Each look goes past all that came before (__skb_try_recv_from_queue()): only long ones are worth that, of
  // which there are few.
  if (std::ranges::all_of(udp.datagrams(), [](const pb::Datagram& datagram) {
        return datagram.payload().size() == datagram.length();
      }))
    return {};
  TRY_ASSIGN(const PeekOffset first, PeekOffset::set(fd, 0));
  std::string buffer(65536, '\0');
  for (pb::Datagram& datagram : *udp.mutable_datagrams()) {
    // Empty ones are passed over, or not, as they were looked at before (__skb_try_recv_from_queue()).
    if (datagram.length() == 0) continue;
    ssize_t len = 0;
    for (int i = 0; len == 0 && i <= udp.datagrams_size(); i++)
      len = ::recv(fd, buffer.data(), buffer.size(), MSG_PEEK | MSG_DONTWAIT);
    if (len < 0) return fail(Error::system("read a datagram"));
    if (static_cast<std::uint32_t>(len) != datagram.length())
      return fail(Error::system(fmt::format("a datagram has {} bytes instead of {}: somebody else reads them",
                                            len, datagram.length()),
                                EIO));
    datagram.set_payload(buffer.substr(0, static_cast<std::size_t>(len)));
  }
  return {};
}

// As they came; who reads must expect that, too.
void take_datagrams_apart(pb::Udp& udp) {
  if (std::ranges::none_of(udp.datagrams(), [](const pb::Datagram& it) { return it.segment() != 0; })) return;
  google::protobuf::RepeatedPtrField<pb::Datagram> all;
  all.Swap(udp.mutable_datagrams());
  for (pb::Datagram& merged : all) {
    const std::size_t segment = merged.segment();
    if (segment == 0) {
      udp.add_datagrams()->Swap(&merged);
      continue;
    }
    const std::string payload = std::move(*merged.mutable_payload());
    merged.clear_payload();
    merged.clear_segment();
    for (std::size_t at = 0; at < payload.size(); at += segment) {
      pb::Datagram& one = *udp.add_datagrams();
      one = merged;
      one.set_payload(payload.substr(at, segment));
      one.set_length(static_cast<std::uint32_t>(one.payload().size()));
    }
  }
}

void plan_datagrams(PlanBuilder& plan, Operand fd, const pb::File& file, const pb::Udp& udp) {
  if (!udp.datagrams().empty()) Sender(plan, fd, udp).run(file.flags());
}

void plan_datagrams_end(PlanBuilder& plan, Operand fd, const pb::Udp& udp) {
  if (udp.datagrams().empty()) return;
  // The kernel doubles what it is told.
  plan.call(kSelf, SYS_setsockopt,
            {fd, SOL_SOCKET, SO_RCVBUFFORCE,
             Operand::data(plan.bytes_of(static_cast<int>(udp.common().receive_buffer() / 2))), 4},
            "buffer");
  plan.try_call(kSelf, SYS_setsockopt,
                {fd, SOL_SOCKET, SO_BUF_LOCK, Operand::data(plan.bytes_of(udp.common().buffer_locks())), 4},
                "buffer lock");
}

Finding judge_datagrams(const pb::Udp& udp, const std::string& name) {
  auto refused = [&](std::string_view why) -> Finding {
    return {Verdict::Unsupported, "udp-queued",
            fmt::format("{} has {} datagrams that were received and not read{}", name,
                        std::max<std::uint32_t>(udp.queued(), 1), why),
            ""};
  };
  if (udp.datagrams().empty()) return {};
  for (const pb::Datagram& datagram : udp.datagrams()) {
    if (is_link_local(datagram.source()) || is_link_local(datagram.destination()))
      return refused(", some of link-local addresses, which belong to an interface");
    // What came in parts comes in parts again.
    const std::uint32_t length = datagram.segment() != 0 ? datagram.segment() : datagram.length();
    if (length > (is_mapped(datagram.source()) ? kMostPayload : kMostPayloadV6))
      return refused(", one too long for the loopback device");
  }
  return {};
}

Result<void> check_datagrams(const pb::Udp& udp) {
  auto bad = [](std::string_view why) {
    return fail(Error::bad_image(fmt::format("udp: a datagram with {}", why)));
  };
  if (udp.datagrams_size() > kMostDatagrams) return fail(Error::bad_image("udp: too many datagrams"));
  if (!udp.datagrams().empty() && udp.common().protocol() != IPPROTO_UDP &&
      udp.common().protocol() != IPPROTO_UDPLITE)
    return bad("a protocol that is not UDP");
  for (const pb::Datagram& datagram : udp.datagrams()) {
    if (datagram.source().size() != 16 || datagram.destination().size() != 16 ||
        is_mapped(datagram.source()) != is_mapped(datagram.destination()) ||
        (udp.common().family() == AF_INET && !is_mapped(datagram.source())))
      return bad("bad addresses");
    if (datagram.source_port() > 65535) return bad("a bad port");
    if (datagram.payload().size() != datagram.length() ||
        datagram.length() > (is_mapped(datagram.source()) ? kMostPayload : kMostPayloadV6))
      return bad("an impossible length");
    if (datagram.ttl() > 255 || datagram.tos() > 255) return bad("a bad header");
  }
  return {};
}

}  // namespace bpfckpt::kinds
