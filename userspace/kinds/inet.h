// SPDX-License-Identifier: Apache-2.0
// What sockets of the Internet families share: addresses, options of IP and of the protocol.
#pragma once

#include <netinet/in.h>

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "images/kinds/inet.pb.h"
#include "images/kinds/socket.pb.h"
#include "kinds/kind.h"
#include "plan/builder.h"

struct socket_record;           // bpf/kinds/socket.h
struct inet_membership_record;  // bpf/kinds/inet_queue.h

namespace bpfckpt::kinds {

// What BPF saw: all but options.
void describe_inet(const socket_record& record, pb::InetSocket& inet);
// Adds the options that differ from those of a new socket of that family, type and protocol; changes nothing
// of the socket behind `fd`.
Result<void> look_at_inet_options(int fd, const pb::Socket& socket, pb::InetSocket& inet);
// Sets them; `inet` is that of the socket which has the options.
void plan_inet_options(PlanBuilder& plan, Operand fd, const pb::Socket& socket, const pb::InetSocket& inet);
// Of the socket itself, not of one that has the same options.
void plan_ipv6_only(PlanBuilder& plan, Operand fd, const pb::Socket& socket, const pb::InetSocket& inet);
// What plan_names() binds it to: any address, where its own was only chosen by connect(2).
std::string address_to_bind(const pb::Socket& socket, const pb::InetSocket& inet);
// Binds and connects a socket without connections as it was, and shuts it down.
void plan_names(PlanBuilder& plan, Operand fd, const pb::Socket& socket, const pb::InetSocket& inet);
void plan_shutdown(PlanBuilder& plan, Operand fd, const pb::Socket& socket);
// A multicast group that BPF saw. The next one seen was joined earlier.
void add_membership(const inet_membership_record& record, pb::InetSocket& inet);
// Joins the multicast groups again.
void plan_memberships(PlanBuilder& plan, Operand fd, const pb::Socket& socket, const pb::InetSocket& inet);

// A socket address of that family: of an AF_INET socket, `address` is mapped.
struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t len_bytes = 0;
};
SocketAddress socket_address(std::uint32_t family, std::string_view address, std::uint32_t port,
                             std::uint32_t scope);
// bind(2) and connect(2) with such an address; for people, `note`.
OpId plan_bind(PlanBuilder& plan, Operand fd, const SocketAddress& address);
OpId plan_connect(PlanBuilder& plan, Operand fd, const SocketAddress& address);

// Addresses of 16 bytes, IPv4 mapped.
bool is_mapped(std::string_view address);
inline constexpr std::string_view kLoopbackV4("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
inline constexpr std::string_view kLoopbackV6("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);
bool is_any(std::string_view address);
bool is_multicast(std::string_view address);
// "10.0.0.1:80", "[::1]:80"
std::string endpoint(std::string_view address, std::uint32_t port);

// Ok, or why no socket like this can be taken.
Finding judge_inet(const pb::InetSocket& inet);
// Error::BadImage where a field is impossible.
Result<void> check_inet(const pb::Socket& socket, const pb::InetSocket& inet, std::string_view what);

}  // namespace bpfckpt::kinds
