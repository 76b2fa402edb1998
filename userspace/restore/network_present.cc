// SPDX-License-Identifier: Apache-2.0
#include "restore/network_present.h"

#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "kinds/tcp.h"

namespace bpfckpt::restore {
namespace {

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

struct Request {
  nlmsghdr head{};
  inet_diag_req_v2 body{};

  Request(std::uint16_t type, std::uint16_t flags, std::uint8_t family, std::uint8_t protocol) {
    head.nlmsg_len = sizeof *this;
    head.nlmsg_type = type;
    head.nlmsg_flags = static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
    body.sdiag_family = family;
    body.sdiag_protocol = protocol;
  }
};

}  // namespace

Result<Fd> diag_socket() {
  Fd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG));
  if (!fd) return fail(Error::system("NETLINK_SOCK_DIAG"));
  return fd;
}

Result<void> list_sockets(int fd, std::uint8_t family, std::uint8_t protocol,
                          std::vector<PresentSocket>& out) {
  Request request(SOCK_DIAG_BY_FAMILY, NLM_F_DUMP, family, protocol);
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
      PresentSocket one;
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

bool destroy_connection(int fd, const PresentSocket& one) {
  Request request(SOCK_DESTROY, NLM_F_ACK, one.raw.idiag_family, IPPROTO_TCP);
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

std::string to_text(const PresentSocket& one) {
  if (one.protocol != IPPROTO_TCP) return fmt::format("socket:[{}]", one.inode);
  std::string text = kinds::tcp_state_name(one.state);
  if (one.state == kinds::kTcpTimeWait)
    return fmt::format("{}, for another {} s", text, (one.expires_ms + 999) / 1000);
  return one.inode == 0 ? text + ", of no process any more" : fmt::format("{}, socket:[{}]", text, one.inode);
}

}  // namespace bpfckpt::restore
