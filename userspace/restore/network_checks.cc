// SPDX-License-Identifier: Apache-2.0
// Whether this machine has room for the sockets of a checkpoint: addresses, ports, connections.
#include <linux/netlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <unordered_map>

#include "kinds/inet.h"
#include "kinds/netlink.h"
#include "kinds/raw.h"
#include "kinds/socket.h"
#include "kinds/tcp.h"
#include "kinds/udp.h"
#include "restore/connections.h"
#include "restore/network_present.h"

namespace bpfckpt::restore {
namespace {

bool has_option(const kinds::SocketOptions& options, int level, int name) {
  return kinds::find_option(options, level, name) != nullptr;
}

std::string_view port_name(std::uint32_t protocol) {
  switch (protocol) {
    case IPPROTO_TCP:
      return "port";
    case IPPROTO_UDP:
      return "UDP port";
    case IPPROTO_UDPLITE:
      return "UDP-Lite port";
    default:
      return "identifier of ICMP echoes";
  }
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

  Result<void> check_internet(const std::vector<One>& all);
  void check_address(const One& one, const std::string& address);
  void check_protocol(const pb::Socket& like);
  void check_device(const One& one);
  void check_port(const One& one);
  void check_connection(int fd, const One& one);
  void check_netlink(const pb::NetlinkSocket& socket);
  void complain(std::string text) {
    if (told_.insert(text).second) text_ += (text_.empty() ? "" : "\n") + text;
  }

  std::vector<PresentSocket> present_;
  std::unordered_multimap<std::string, const PresentSocket*> by_tuple_;
  std::set<std::string> addresses_, interfaces_;  // that were looked at, as were
  std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint32_t>> protocols_;
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
  if (!addresses_.insert(address).second) return;
  const int family = kinds::is_mapped(address) ? AF_INET : AF_INET6;
  const auto there = kinds::socket_address(static_cast<std::uint32_t>(family), address, 0, one.inet.scope());
  Fd fd(::socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&there.storage), there.len_bytes) != 0)
    complain(fmt::format("this machine does not have the address of {}: {}",
                         kinds::endpoint(address, one.inet.local_port()), std::strerror(errno)));
}

// Kernels lose protocols (UDP-Lite), and who may have sockets for ICMP echoes is a setting.
void NetworkCheck::check_protocol(const pb::Socket& like) {
  if (!protocols_.insert({like.family(), like.type(), like.protocol()}).second) return;
  Fd fd(::socket(static_cast<int>(like.family()), static_cast<int>(like.type()) | SOCK_CLOEXEC,
                 static_cast<int>(like.protocol())));
  if (!fd && errno != EMFILE && errno != ENFILE)
    complain(fmt::format("no sockets of {}, type {}, protocol {}, can be made here: {}",
                         kinds::family_name(like.family()), like.type(), like.protocol(),
                         std::strerror(errno)));
}

void NetworkCheck::check_device(const One& one) {
  const pb::SocketOption* option = kinds::find_option(one.common.options(), SOL_SOCKET, SO_BINDTODEVICE);
  if (option == nullptr) return;
  const std::string name(option->value().c_str());
  if (!name.empty() && interfaces_.insert(name).second && ::if_nametoindex(name.c_str()) == 0)
    complain(fmt::format("this machine does not have the interface {} of {}", name,
                         kinds::endpoint(one.bound_address(), one.inet.local_port())));
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
  const int only = inet.ipv6_only() ? 1 : 0;
  if (one.common.family() == AF_INET6) ::setsockopt(fd.get(), SOL_IPV6, IPV6_V6ONLY, &only, sizeof only);
  if (const pb::SocketOption* device = kinds::find_option(one.common.options(), SOL_SOCKET, SO_BINDTODEVICE))
    ::setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, device->value().data(),
                 static_cast<socklen_t>(device->value().size()));
  const auto there =
      kinds::socket_address(one.common.family(), one.bound_address(), inet.local_port(), inet.scope());
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&there.storage), there.len_bytes) == 0 ||
      errno != EADDRINUSE)
    return;
  std::string owners;
  std::set<std::string> seen;
  for (const PresentSocket& other : present_) {
    if (other.local_port != inet.local_port() || other.protocol != one.common.protocol()) continue;
    std::string text = fmt::format("{} ({})", kinds::endpoint(other.local, other.local_port), to_text(other));
    if (seen.size() < 8 && seen.insert(text).second) owners += (owners.empty() ? "" : ", ") + text;
  }
  complain(fmt::format("the {} of {} is taken: {}", port_name(one.common.protocol()),
                       kinds::endpoint(one.bound_address(), inet.local_port()),
                       owners.empty() ? "by a socket that is bound" : owners));
}

void NetworkCheck::check_connection(int fd, const One& one) {
  const pb::InetSocket& inet = one.inet;
  const auto [begin, end] = by_tuple_.equal_range(
      tuple(inet.local_address(), inet.local_port(), inet.remote_address(), inet.remote_port()));
  for (auto it = begin; it != end; ++it) {
    const PresentSocket& other = *it->second;
    if (other.inode == 0 && other.state != kinds::kTcpTimeWait && destroy_connection(fd, other)) continue;
    complain(fmt::format("the connection {} -> {} is there already ({})",
                         kinds::endpoint(inet.local_address(), inet.local_port()),
                         kinds::endpoint(inet.remote_address(), inet.remote_port()), to_text(other)));
  }
}

// Its address is often the pid of who has it, or had it.
void NetworkCheck::check_netlink(const pb::NetlinkSocket& socket) {
  check_protocol(socket.common());
  if (socket.port() == 0) return;
  const auto protocol = static_cast<int>(socket.common().protocol());
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  name.nl_pid = socket.port();
  if (fd && ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 &&
      errno == EADDRINUSE)
    complain(fmt::format("the netlink port {} of protocol {} is taken", socket.port(), protocol));
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
    if (kinds::is_raw(file) && !is_given) {
      TRY_ASSIGN(pb::Raw raw, kinds::raw_of(file));
      all.push_back({raw.common(), raw.inet(), raw.inet(), false, false});
      like.push_back(0);
    }
    if (!kinds::is_tcp(file)) continue;
    TRY_ASSIGN(pb::Tcp tcp, kinds::tcp_of(file));
    if (tcp.options_like() == 0) own_options.emplace(file.id(), tcp.inet());
    if (tcp.taken_closed() || is_given) continue;
    all.push_back({tcp.common(), tcp.inet(), tcp.inet(), true, kinds::was_connection(tcp)});
    like.push_back(tcp.options_like());
  }
  for (const One& one : all) {
    TRY(kinds::check_socket(one.common, "socket"));
    TRY(kinds::check_inet(one.common, one.inet, "socket"));
  }
  for (std::size_t i = 0; i < all.size(); i++)
    if (auto it = own_options.find(like[i]); it != own_options.end()) all[i].options = it->second;
  return all;
}

Result<void> NetworkCheck::run(const Model& model, const std::vector<std::uint32_t>& given) {
  TRY_ASSIGN(const std::vector<One> all, wanted(model, given));
  for (const pb::File& file : model.files.files()) {
    if (!kinds::is_netlink(file) || std::ranges::find(given, file.id()) != given.end()) continue;
    TRY_ASSIGN(const pb::NetlinkSocket socket, kinds::netlink_of(file));
    TRY(kinds::check_socket(socket.common(), "netlink"));
    if (socket.common().family() != AF_NETLINK) return fail(Error::bad_image("netlink: another family"));
    check_netlink(socket);
  }
  if (!all.empty()) TRY(check_internet(all));
  if (!text_.empty()) return fail(Error::conflict(text_));
  return {};
}

Result<void> NetworkCheck::check_internet(const std::vector<One>& all) {
  TRY_ASSIGN(const Fd fd, diag_socket());
  // A kernel without inet_diag names nobody.
  for (const std::uint8_t family : {AF_INET, AF_INET6})
    for (const std::uint8_t protocol : {IPPROTO_TCP, IPPROTO_UDP})
      (void)list_sockets(fd.get(), family, protocol, present_);
  for (const PresentSocket& one : present_)
    if (one.protocol == IPPROTO_TCP)
      by_tuple_.emplace(tuple(one.local, one.local_port, one.remote, one.remote_port), &one);
  for (const One& one : all) {
    check_protocol(one.common);
    check_device(one);
    const bool connected = one.tcp && one.inet.remote_port() != 0;
    const std::string address = connected ? one.inet.local_address() : one.bound_address();
    check_address(one, address);
    if (!connected)
      check_port(one);
    else if (!one.was_connection)
      check_connection(fd.get(), one);
  }
  return {};
}

}  // namespace

Result<void> check_network(const Model& model, const std::vector<std::uint32_t>& given) {
  return NetworkCheck().run(model, given);
}

}  // namespace bpfckpt::restore
