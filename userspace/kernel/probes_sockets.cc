// SPDX-License-Identifier: Apache-2.0
// Probes of sockets and of their options.
#include <fcntl.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "kernel/probes.h"

namespace bpfckpt::kernel {
namespace {

Presence gives_socket(int family, int type, int protocol = 0) {
  return gives_fd(::socket(family, type | SOCK_CLOEXEC, protocol));
}

// Whether a new socket tells it.
Presence tells_option(int family, int type, int level, int name) {
  const Fd fd(::socket(family, type | SOCK_CLOEXEC, 0));
  if (!fd) return no_errno();
  int value = 0;
  socklen_t len_bytes = sizeof value;
  return ::getsockopt(fd.get(), level, name, &value, &len_bytes) == 0 ? yes() : no_errno();
}

Presence tells_general_option(int family, int name) {
  return tells_option(family, family == AF_UNIX ? SOCK_STREAM : SOCK_DGRAM, SOL_SOCKET, name);
}

}  // namespace

Presence probe_unix_sockets() {
  return gives_socket(AF_UNIX, SOCK_STREAM);
}

Presence probe_unix_oob() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return no_errno();
  const Fd to(ends[0]), from(ends[1]);
  return ::send(to.get(), "x", 1, MSG_OOB | MSG_DONTWAIT | MSG_NOSIGNAL) == 1 ? yes() : no_errno();
}

Presence probe_unix_inq() {
  constexpr int kInq = 84;  // SO_INQ, which getsockopt(2) does not tell
  const Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  return ::setsockopt(fd.get(), SOL_SOCKET, kInq, &on, sizeof on) == 0 ? yes() : no_errno();
}
Presence probe_pass_pidfd() {
  return tells_general_option(AF_UNIX, 76);  // SO_PASSPIDFD
}
Presence probe_pass_rights() {
  return tells_general_option(AF_UNIX, 83);  // SO_PASSRIGHTS
}
Presence probe_receive_priority() {
  return tells_general_option(AF_INET, 82);  // SO_RCVPRIORITY
}
Presence probe_busy_poll() {
  return tells_general_option(AF_INET, SO_BUSY_POLL);
}

Presence probe_internet_sockets() {
  return gives_socket(AF_INET, SOCK_DGRAM);
}
Presence probe_ipv6() {
  return gives_socket(AF_INET6, SOCK_DGRAM);
}
Presence probe_udp_lite() {
  return gives_socket(AF_INET, SOCK_DGRAM, IPPROTO_UDPLITE);
}
Presence probe_local_port_range() {
  return tells_option(AF_INET, SOCK_DGRAM, SOL_IP, 51);  // IP_LOCAL_PORT_RANGE
}

Presence probe_tcp_repair() {
  constexpr int kTcpRepair = 19;  // include/uapi/linux/tcp.h
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  return ::setsockopt(fd.get(), IPPROTO_TCP, kTcpRepair, &on, sizeof on) == 0 ? yes() : no_errno();
}

Presence probe_tcp_timeouts() {
  for (int name : {44, 45, 46})  // TCP_RTO_MAX_MS, TCP_RTO_MIN_US, TCP_DELACK_MAX_US
    if (Presence told = tells_option(AF_INET, SOCK_STREAM, IPPROTO_TCP, name); !told.there) return told;
  return yes();
}

Presence probe_tcp_microseconds() {
  return has_kernel_field("tcp_sock", "tcp_usec_ts");
}

Presence probe_tcp_md5() {
  const Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return no_errno();
  const int too_short = 0;
  return complains(::setsockopt(fd.get(), IPPROTO_TCP, TCP_MD5SIG, &too_short, sizeof too_short), EINVAL);
}

Presence probe_tcp_ao() {
  return has_kernel_field("tcp_sock", "ao_info");
}

Presence probe_packet_sockets() {
  return gives_socket(AF_PACKET, SOCK_RAW);
}
Presence probe_packet_vnet_header() {
  return tells_option(AF_PACKET, SOCK_RAW, SOL_PACKET, 24);  // PACKET_VNET_HDR_SZ
}

}  // namespace bpfckpt::kernel
