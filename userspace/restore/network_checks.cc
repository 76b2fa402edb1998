// SPDX-License-Identifier: Apache-2.0
// Whether this machine has room for the sockets of a checkpoint: addresses, ports, connections.
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>
#include <unordered_map>

#include "kinds/inet.h"
#include "kinds/tcp.h"
#include "kinds/udp.h"
#include "restore/connections.h"

namespace bpfckpt::restore {
namespace {

// What the kernel says of a TCP or UDP socket in this network namespace.
struct Present {
  std::uint8_t protocol = 0;
  std::string local, remote;  // 16 bytes
  std::uint16_t local_port = 0, remote_port = 0;
  std::uint8_t state = 0;
  std::uint32_t inode = 0;  // 0: no process has it
  std::uint32_t expires_ms = 0;
  inet_diag_msg raw{};
};

std::string address_of(std::uint8_t family, const std::uint32_t (&words)[4]) {
  std::string bytes(16, '\0');
  if (family == AF_INET) {
    bytes[10] = bytes[11] = '\xff';
    std::memcpy(bytes.data() + 12, words, 4);
  } else {
    std::memcpy(bytes.data(), words, 16);
  }
  return bytes;
}

Result<Fd> diag_socket() {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) return fail(Error::system("NETLINK_SOCK_DIAG"));
  return fd;
}

Result<void> list(int fd, std::uint8_t family, std::uint8_t protocol, std::vector<Present>& out) {
  struct {
    nlmsghdr head;
    inet_diag_req_v2 body;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.body.sdiag_family = family;
  request.body.sdiag_protocol = protocol;
  request.body.idiag_states = ~0U;
  if (::send(fd, &request, sizeof request, 0) < 0) return fail(Error::system("ask for sockets"));
  std::vector<char> buffer(64 << 10);
  for (;;) {
    const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
    if (n < 0) return fail(Error::system("list sockets"));
    auto left = static_cast<unsigned>(n);
    for (auto* head = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(head, left);
         head = NLMSG_NEXT(head, left)) {
      if (head->nlmsg_type == NLMSG_DONE) return {};
      if (head->nlmsg_type == NLMSG_ERROR) {
        int error = 0;
        std::memcpy(&error, NLMSG_DATA(head), sizeof error);
        return fail(Error::system("list sockets", -error));
      }
      if (head->nlmsg_len < NLMSG_LENGTH(sizeof(inet_diag_msg))) continue;
      Present one;
      std::memcpy(&one.raw, NLMSG_DATA(head), sizeof one.raw);
      one.protocol = protocol;
      one.local = address_of(one.raw.idiag_family, one.raw.id.idiag_src);
      one.remote = address_of(one.raw.idiag_family, one.raw.id.idiag_dst);
      one.local_port = ntohs(one.raw.id.idiag_sport);
      one.remote_port = ntohs(one.raw.id.idiag_dport);
      one.state = one.raw.idiag_state;
      one.inode = one.raw.idiag_inode;
      one.expires_ms = one.raw.idiag_expires;
      out.push_back(std::move(one));
    }
  }
}

// Ends what a kill left: a connection that no process has, whose packets the checkpoint's lock drops.
bool destroy(int fd, const Present& one) {
  struct {
    nlmsghdr head;
    inet_diag_req_v2 body;
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = SOCK_DESTROY;
  request.head.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
  request.body.sdiag_family = one.raw.idiag_family;
  request.body.sdiag_protocol = IPPROTO_TCP;
  request.body.id = one.raw.id;
  if (::send(fd, &request, sizeof request, 0) < 0) return false;
  struct {
    nlmsghdr head;
    nlmsgerr error;
    char more[512];
  } answer{};
  return ::recv(fd, &answer, sizeof answer, 0) > 0 && answer.head.nlmsg_type == NLMSG_ERROR &&
         answer.error.error == 0;
}

std::string who(const Present& one) {
  if (one.protocol != IPPROTO_TCP) return fmt::format("socket:[{}]", one.inode);
  std::string text = kinds::tcp_state_name(one.state);
  if (one.state == kinds::kTcpTimeWait)
    return fmt::format("{}, for another {} s", text, (one.expires_ms + 999) / 1000);
  return one.inode == 0 ? text + ", of no process any more" : fmt::format("{}, socket:[{}]", text, one.inode);
}

bool has_option(const google::protobuf::RepeatedPtrField<pb::SocketOption>& options, int level, int name) {
  return std::ranges::any_of(options, [&](const pb::SocketOption& option) {
    return option.level() == level && option.name() == name;
  });
}

class NetworkCheck {
 public:
  Result<void> run(const Model& model, const std::vector<std::uint32_t>& given);

 private:
  struct One {
    pb::Socket common;
    pb::InetSocket inet;
    pb::InetSocket options;  // whose options are its
    bool tcp = false;
    bool was_connection = false;

    std::string bound_address() const {
      return tcp ? inet.bound_address() : kinds::address_to_bind(common, inet);
    }
  };
  Result<std::vector<One>> wanted(const Model& model, const std::vector<std::uint32_t>& given);

  void check_address(const One& one, const std::string& address);
  void check_port(const One& one);
  void check_connection(int fd, const One& one);
  void complain(std::string text) {
    if (told_.insert(text).second) text_ += (text_.empty() ? "" : "\n") + text;
  }

  std::vector<Present> present_;
  std::unordered_multimap<std::string, const Present*> by_tuple_;
  std::set<std::string> told_;
  std::string text_;
};

std::string tuple(const std::string& local, std::uint32_t local_port, const std::string& remote,
                  std::uint32_t remote_port) {
  return fmt::format("{}{}{}{}", local, local_port, remote, remote_port);
}

void NetworkCheck::check_address(const One& one, const std::string& address) {
  const auto& options = one.options.options();
  if (kinds::is_any(address) || kinds::is_multicast(address) || has_option(options, SOL_IP, IP_FREEBIND) ||
      has_option(options, SOL_IP, IP_TRANSPARENT) || has_option(options, SOL_IPV6, IPV6_FREEBIND) ||
      has_option(options, SOL_IPV6, IPV6_TRANSPARENT))
    return;
  const int family = kinds::is_mapped(address) ? AF_INET : AF_INET6;
  const auto there = kinds::socket_address(static_cast<std::uint32_t>(family), address, 0, one.inet.scope());
  Fd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&there.storage), there.len_bytes) != 0)
    complain(fmt::format("this machine does not have the address of {}: {}",
                         kinds::endpoint(address, one.inet.local_port()), std::strerror(errno)));
}

// As the plan will do it (kinds/tcp.cc, kinds/udp.cc), and at once undone.
void NetworkCheck::check_port(const One& one) {
  const pb::InetSocket& inet = one.inet;
  if (inet.local_port() == 0) return;
  Fd fd(::socket(static_cast<int>(one.common.family()), static_cast<int>(one.common.type()) | SOCK_CLOEXEC,
                 static_cast<int>(one.common.protocol())));
  if (!fd) return;
  const int on = 1;
  if (one.tcp || has_option(one.common.options(), SOL_SOCKET, SO_REUSEADDR))
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (has_option(one.common.options(), SOL_SOCKET, SO_REUSEPORT))
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (inet.ipv6_only()) ::setsockopt(fd.get(), SOL_IPV6, IPV6_V6ONLY, &on, sizeof on);
  for (const pb::SocketOption& option : one.common.options())
    if (option.level() == SOL_SOCKET && option.name() == SO_BINDTODEVICE)
      ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, option.value().data(),
                   static_cast<socklen_t>(option.value().size()));
  const auto there =
      kinds::socket_address(one.common.family(), one.bound_address(), inet.local_port(), inet.scope());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&there.storage), there.len_bytes) == 0 ||
      errno != EADDRINUSE)
    return;
  std::string owners;
  std::set<std::string> seen;
  for (const Present& other : present_) {
    if (other.local_port != inet.local_port() || other.protocol != one.common.protocol()) continue;
    std::string text = fmt::format("{} ({})", kinds::endpoint(other.local, other.local_port), who(other));
    if (seen.size() < 8 && seen.insert(text).second) owners += (owners.empty() ? "" : ", ") + text;
  }
  complain(fmt::format("the {}port of {} is taken: {}", one.tcp ? "" : "UDP ",
                       kinds::endpoint(one.bound_address(), inet.local_port()),
                       owners.empty() ? "by a socket that is bound" : owners));
}

void NetworkCheck::check_connection(int fd, const One& one) {
  const pb::InetSocket& inet = one.inet;
  const auto [begin, end] = by_tuple_.equal_range(
      tuple(inet.local_address(), inet.local_port(), inet.remote_address(), inet.remote_port()));
  for (auto it = begin; it != end; ++it) {
    const Present& other = *it->second;
    if (other.inode == 0 && other.state != kinds::kTcpTimeWait && destroy(fd, other)) continue;
    complain(fmt::format("the connection {} -> {} is there already ({})",
                         kinds::endpoint(inet.local_address(), inet.local_port()),
                         kinds::endpoint(inet.remote_address(), inet.remote_port()), who(other)));
  }
}

Result<std::vector<NetworkCheck::One>> NetworkCheck::wanted(const Model& model,
                                                            const std::vector<std::uint32_t>& given) {
  std::vector<One> all;
  std::vector<std::uint32_t> like;  // of each: File whose options are its; 0: its own are
  std::unordered_map<std::uint32_t, pb::InetSocket> own_options;
  for (const pb::File& file : model.files.files()) {
    const bool is_given = std::ranges::find(given, file.id()) != given.end();
    if (kinds::is_udp(file) && !is_given) {
      TRY_ASSIGN(pb::Udp udp, kinds::udp_of(file));
      all.push_back({udp.common(), udp.inet(), udp.inet(), false, false});
      like.push_back(0);
    }
    if (!kinds::is_tcp(file)) continue;
    TRY_ASSIGN(pb::Tcp tcp, kinds::tcp_of(file));
    if (tcp.options_like() == 0) own_options.emplace(file.id(), tcp.inet());
    if (tcp.taken_closed() || is_given) continue;
    all.push_back({tcp.common(), tcp.inet(), tcp.inet(), true, kinds::was_connection(tcp)});
    like.push_back(tcp.options_like());
  }
  for (std::size_t i = 0; i < all.size(); i++)
    if (auto it = own_options.find(like[i]); it != own_options.end()) all[i].options = it->second;
  return all;
}

Result<void> NetworkCheck::run(const Model& model, const std::vector<std::uint32_t>& given) {
  TRY_ASSIGN(const std::vector<One> all, wanted(model, given));
  if (all.empty()) return {};
  TRY_ASSIGN(const Fd fd, diag_socket());
  // A kernel without inet_diag names nobody.
  for (const std::uint8_t family : {AF_INET, AF_INET6})
    for (const std::uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP})
      (void)list(fd.get(), family, protocol, present_);
  for (const Present& one : present_)
    if (one.protocol == IPPROTO_TCP)
      by_tuple_.emplace(tuple(one.local, one.local_port, one.remote, one.remote_port), &one);
  std::set<std::string> addresses;
  for (const One& one : all) {
    const bool connected = one.tcp && one.inet.remote_port() != 0;
    const std::string address = connected ? one.inet.local_address() : one.bound_address();
    if (addresses.insert(address).second) check_address(one, address);
    if (!connected)
      check_port(one);
    else if (!one.was_connection)
      check_connection(fd.get(), one);
  }
  if (!text_.empty()) return fail(Error::conflict(text_));
  return {};
}

}  // namespace

Result<void> check_network(const Model& model, const std::vector<std::uint32_t>& given) {
  return NetworkCheck().run(model, given);
}

}  // namespace bpfckpt::restore
