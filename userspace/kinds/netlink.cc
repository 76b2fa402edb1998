// SPDX-License-Identifier: Apache-2.0
// Netlink sockets.
//
// A netlink socket is an address (a port) for one of the kernel's protocols, with the multicast groups it is
// in. Kept: that, where it is connected to, options. Not kept: what a protocol ties to the port (queues of
// nfnetlink). Messages that wait to be read, and answers that are half read, cannot be made again: refused.
#include "kinds/netlink.h"

#include <fcntl.h>
#include <linux/netlink.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <bit>

#include "bpf/kinds/socket.h"
#include "bpf/records.h"
#include "kinds/objects.h"
#include "kinds/socket.h"

namespace bpfckpt::kinds {

extern const Kind kNetlink;

namespace {

constexpr std::uint32_t kMostGroup = NETLINK_GROUP_WORDS * 64;
// Those that are switches. NETLINK_CAP_ACK and its like are not there on every kernel.
constexpr int kSwitches[] = {NETLINK_PKTINFO,         NETLINK_BROADCAST_ERROR, NETLINK_NO_ENOBUFS,
                             NETLINK_LISTEN_ALL_NSID, NETLINK_CAP_ACK,         NETLINK_EXT_ACK,
                             NETLINK_GET_STRICT_CHK};

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const socket_record* part = socket_record_of(record);
  if (part == nullptr) return fail(Error::bug("a socket without its record"));
  const netlink_record& netlink = part->detail.netlink;
  pb::NetlinkSocket socket;
  describe_socket(*part, *socket.mutable_common());
  socket.set_bound(netlink.bound != 0);
  socket.set_port(netlink.port);
  for (std::uint32_t word = 0; word < NETLINK_GROUP_WORDS; word++)
    for (std::uint64_t left = netlink.groups[word]; left != 0; left &= left - 1)
      socket.add_groups(word * 64 + static_cast<std::uint32_t>(std::countr_zero(left)) + 1);
  socket.set_more_groups(netlink.groups_count > kMostGroup);
  socket.set_peer_port(netlink.peer_port);
  socket.set_peer_groups(netlink.peer_groups);
  socket.set_queued(part->queued);
  socket.set_dumping(netlink.dumping != 0);
  pack(socket, *file.mutable_detail());
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject*) {
  TRY_ASSIGN(pb::NetlinkSocket socket, netlink_of(file));
  TRY_ASSIGN(Fd fd, context.borrow(file));
  TRY(look_at_socket(fd.get(), *socket.mutable_common()));
  for (const int name : kSwitches) {
    int value = 0;
    socklen_t len = sizeof value;
    if (::getsockopt(fd.get(), SOL_NETLINK, name, &value, &len) == 0 && value != 0)
      add_option(*socket.mutable_common(), SOL_NETLINK, name, 1);
  }
  pack(socket, *file.mutable_detail());
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(pb::NetlinkSocket socket, netlink_of(file));
  TRY(check_socket(socket.common(), "netlink socket"));
  if (socket.common().family() != AF_NETLINK)
    return fail(Error::bad_image("netlink socket: of another family"));
  if (socket.queued() != 0 || socket.dumping())
    return fail(Error::bad_image("netlink socket: messages that nobody took"));
  const OpId fd = plan_socket(plan, file, socket.common());
  auto address = [&](std::uint32_t port, std::uint32_t groups) {
    sockaddr_nl name{};
    name.nl_family = AF_NETLINK;
    name.nl_pid = port;
    name.nl_groups = groups;
    return Operand::data(plan.bytes_of(name));
  };
  if (socket.bound())
    plan.call(kSelf, SYS_bind, {Operand::result(fd), address(socket.port(), 0), sizeof(sockaddr_nl)},
              "netlink");
  for (const std::uint32_t group : socket.groups()) {
    if (group == 0 || group > kMostGroup)
      return fail(Error::bad_image(fmt::format("netlink socket: group {}", group)));
    plan.call(
        kSelf, SYS_setsockopt,
        {Operand::result(fd), SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, Operand::data(plan.bytes_of(group)), 4},
        "group");
  }
  if (socket.peer_port() != 0 || socket.peer_groups() != 0)
    plan.call(kSelf, SYS_connect,
              {Operand::result(fd), address(socket.peer_port(), socket.peer_groups()), sizeof(sockaddr_nl)},
              "netlink");
  plan_socket_options(plan, Operand::result(fd), socket.common(), OptionTime::Filled);
  plan.set_file(file.id(), Operand::result(fd));
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto socket = netlink_of(file);
  if (!socket) return {};
  if (Finding finding = judge_socket(socket->common()); finding.verdict != Verdict::Ok) return finding;
  const std::string hint = fmt::format("--external socket:[{}]", file.inode().number());
  if (socket->queued() != 0)
    return {Verdict::Unsupported, "netlink-messages",
            fmt::format(
                "{} messages of the kernel wait to be read from the netlink socket, and cannot be made again",
                socket->queued()),
            hint};
  if (socket->dumping())
    return {Verdict::Unsupported, "netlink-dump",
            "the kernel's answer to a request over the netlink socket is only half read", hint};
  if (socket->more_groups())
    return {Verdict::Unsupported, "netlink-groups",
            fmt::format("a netlink protocol with more than {} multicast groups", kMostGroup), hint};
  return {};
}

}  // namespace

bool is_netlink(const pb::File& file) {
  return file.kind() == kNetlink.name && (file.flags() & O_PATH) == 0;
}

Result<pb::NetlinkSocket> netlink_of(const pb::File& file) {
  return unpack<pb::NetlinkSocket>(file.detail(), "netlink socket");
}

extern const Kind kNetlink = {
    .name = "netlink",
    .kept = "protocol, port, multicast groups, where it is connected to, options",
    .not_kept = "what a protocol ties to the port (nfnetlink queues); the inode number",
    .refused = "messages that wait to be read, and answers that are half read",
    .describe = describe,
    .enrich = enrich,
    .plan = plan,
    .diagnose = diagnose,
};

}  // namespace bpfckpt::kinds
