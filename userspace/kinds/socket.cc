// SPDX-License-Identifier: Apache-2.0
#include "kinds/socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "bpf/kinds/socket.h"
#include "bpf/records.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint32_t kMaxOptionBytes = 4096;
constexpr int kMaxOptions = 1024;
constexpr std::uint32_t kSockfsMode = 0777;  // net/socket.c:sock_alloc()

const std::byte* behind_path(const file_record& record) {
  return reinterpret_cast<const std::byte*>(&record) + sizeof record +
         ((record.path.length + 7) & ~std::uint32_t{7});
}

}  // namespace

const socket_record* socket_record_of(const file_record& record) {
  const std::uint64_t needed =
      sizeof record + ((record.path.length + 7) & ~std::uint64_t{7}) + record.socket_bytes;
  if (record.socket_bytes < sizeof(socket_record) || record.head.length < needed) return nullptr;
  return reinterpret_cast<const socket_record*>(behind_path(record));
}

std::string_view socket_node_path(const file_record& record) {
  const socket_record* socket = socket_record_of(record);
  if (socket == nullptr || (socket->detail.un.flags & UNIX_HAS_NODE) == 0) return {};
  const std::uint32_t length = socket->detail.un.node.length;
  if (length == 0 || record.socket_bytes - sizeof(socket_record) < length) return {};
  return {reinterpret_cast<const char*>(socket + 1), length - 1};
}

OpId plan_socket(PlanBuilder& plan, const pb::File& file, const pb::Socket& socket) {
  const std::uint32_t flags = SOCK_CLOEXEC | (file.flags() & O_NONBLOCK);
  OpId fd =
      plan.call(kSelf, SYS_socket, {socket.family(), socket.type() | flags, socket.protocol()}, "socket");
  plan_socket_inode(plan, Operand::result(fd), file, file.flags() & O_NONBLOCK);
  plan_socket_options(plan, Operand::result(fd), socket, OptionTime::Made);
  return fd;
}

void plan_socket_inode(PlanBuilder& plan, Operand fd, const pb::File& file, std::uint32_t made_with_flags) {
  const pb::Inode& inode = file.inode();
  // The owner is that of the socket for routing as well (net/socket.c:sockfs_setattr()).
  if (inode.uid() != 0 || inode.gid() != 0) plan.call(kSelf, SYS_fchown, {fd, inode.uid(), inode.gid()});
  if ((inode.mode() & 07777) != kSockfsMode) plan.call(kSelf, SYS_fchmod, {fd, inode.mode() & 07777});
  constexpr std::uint32_t kSettable = O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME;
  if ((file.flags() & kSettable) != (made_with_flags & kSettable))
    plan.call(kSelf, SYS_fcntl, {fd, F_SETFL, file.flags() & ~std::uint32_t{O_ASYNC}}, "flags of file");
}

Finding judge_socket(const pb::Socket& socket) {
  if (socket.net_namespace() != 0)
    return {Verdict::Unsupported, "socket-namespace",
            fmt::format("a socket of another network namespace (net:[{}])", socket.net_namespace()), ""};
  if (socket.ebpf_filter())
    return {Verdict::Unsupported, "socket-bpf-filter",
            "an eBPF program filters what it receives, which cannot be read back", ""};
  if (socket.errors_queued() != 0)
    return {Verdict::Unsupported, "socket-error-queue",
            fmt::format("{} messages are in its error queue (MSG_ERRQUEUE), which cannot be filled again",
                        socket.errors_queued()),
            ""};
  return {};
}

Result<void> check_socket(const pb::Socket& socket, std::string_view what) {
  auto bad = [&](std::string_view why) { return fail(Error::bad_image(fmt::format("{}: {}", what, why))); };
  if (socket.family() == 0 || socket.family() >= 64 || socket.type() == 0 || socket.type() > 10)
    return bad(fmt::format("no family {} of type {}", socket.family(), socket.type()));
  if (socket.shutdown() > 3) return bad(fmt::format("bad shutdown {}", socket.shutdown()));
  if (socket.error() > 4095) return bad(fmt::format("bad error {}", socket.error()));
  if (socket.options_size() > kMaxOptions) return bad("too many options");
  for (const pb::SocketOption& option : socket.options())
    if (option.value().size() > kMaxOptionBytes)
      return bad(fmt::format("option {} is too long", option.name()));
  if (socket.filter().size() % 8 != 0 || socket.filter().size() > std::size_t{4096} * 8)
    return bad("bad filter");
  if (socket.peer().groups_size() > 65536) return bad("too many groups");
  return {};
}

std::string family_name(std::uint32_t family) {
  // include/linux/socket.h
  constexpr const char* kNames[] = {
      "AF_UNSPEC",     "AF_UNIX",      "AF_INET",     "AF_AX25",  "AF_IPX",     "AF_APPLETALK",
      "AF_NETROM",     "AF_BRIDGE",    "AF_ATMPVC",   "AF_X25",   "AF_INET6",   "AF_ROSE",
      "AF_DECnet",     "AF_NETBEUI",   "AF_SECURITY", "AF_KEY",   "AF_NETLINK", "AF_PACKET",
      "AF_ASH",        "AF_ECONET",    "AF_ATMSVC",   "AF_RDS",   "AF_SNA",     "AF_IRDA",
      "AF_PPPOX",      "AF_WANPIPE",   "AF_LLC",      "AF_IB",    "AF_MPLS",    "AF_CAN",
      "AF_TIPC",       "AF_BLUETOOTH", "AF_IUCV",     "AF_RXRPC", "AF_ISDN",    "AF_PHONET",
      "AF_IEEE802154", "AF_CAIF",      "AF_ALG",      "AF_NFC",   "AF_VSOCK",   "AF_KCM",
      "AF_QIPCRTR",    "AF_SMC",       "AF_XDP",      "AF_MCTP"};
  if (family < std::size(kNames)) return kNames[family];
  return fmt::format("address family {}", family);
}

}  // namespace bpfckpt::kinds
