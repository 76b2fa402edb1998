// SPDX-License-Identifier: Apache-2.0
// Packet sockets.
//
// A packet socket gets what comes and goes at one interface, or at all, of one protocol. Kept: which, its
// memberships (promiscuous mode among them), options, filters, the group among whose sockets packets are
// spread, ring buffers with what is in them (kinds/packet_ring.cc). Not kept: packets that were received and
// not read, but for those in a ring, and the statistics.
//
// A restored one is bound last, so that nothing comes that its filter would have kept out; where it has
// rings, when they are as they were (restore/packet_rings.cc).
#include <fcntl.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>

#include "bpf/kinds/socket.h"
#include "bpf/records.h"
#include "images/kinds/packet.pb.h"
#include "kinds/kind.h"
#include "kinds/objects.h"
#include "kinds/packet.h"
#include "kinds/socket.h"

namespace bpfckpt::kinds {

extern const Kind kPacket;

namespace {

constexpr std::uint32_t kMostCount = 1 << 16;
constexpr int kLockFilter = 44;  // SO_LOCK_FILTER

// In the order in which they are set. All are 0 in a new socket, and all are integers.
constexpr int kOptions[] = {
    PACKET_AUXDATA,
    PACKET_ORIGDEV,
    PACKET_VERSION,
    PACKET_RESERVE,
    PACKET_LOSS,
    PACKET_VNET_HDR,
    PACKET_TIMESTAMP,
    PACKET_TX_HAS_OFF,
    PACKET_QDISC_BYPASS,
    23,  // PACKET_IGNORE_OUTGOING
    24,  // PACKET_VNET_HDR_SZ, since 6.6
};

void describe_ring(const packet_ring_part& part, bool of_blocks, pb::PacketRing& ring) {
  ring.set_blocks(part.blocks);
  ring.set_block_bytes(part.block_bytes);
  ring.set_frame_bytes(part.frame_bytes);
  ring.set_frames(part.frames);
  ring.set_position(of_blocks ? part.active_block : part.head);
  ring.set_retire_ms(part.retire_ms);
  ring.set_private_bytes(part.private_bytes);
  ring.set_features(part.features);
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const socket_record* part = socket_record_of(record);
  if (part == nullptr) return fail(Error::bug("a socket without its record"));
  const packet_record& packet = part->detail.packet;
  pb::PacketSocket socket;
  describe_socket(*part, *socket.mutable_common());
  socket.set_protocol(ntohs(packet.protocol));
  socket.set_interface_gone(packet.interface < 0);
  socket.set_interface(static_cast<std::uint32_t>(std::max(packet.interface, 0)));
  socket.set_has_fanout(packet.fanout != 0);
  socket.set_copy_threshold(static_cast<std::uint32_t>(packet.copy_threshold));
  socket.set_version(packet.version);
  if (packet.rx.blocks != 0)
    describe_ring(packet.rx, packet.version == TPACKET_V3, *socket.mutable_receive_ring());
  if (packet.tx.blocks != 0) describe_ring(packet.tx, false, *socket.mutable_send_ring());
  socket.set_more_memberships(packet.memberships > PACKET_MEMBERSHIPS);
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(packet.memberships, PACKET_MEMBERSHIPS); i++) {
    const packet_membership& seen = packet.membership[i];
    pb::PacketMembership& membership = *socket.add_memberships();
    membership.set_interface(static_cast<std::uint32_t>(seen.interface));
    membership.set_count(seen.count);
    membership.set_type(seen.type);
    membership.set_address(
        std::string(reinterpret_cast<const char*>(seen.address),
                    std::min<std::size_t>(seen.address_bytes, sizeof packet_mreq::mr_address)));
    if (seen.address_bytes > sizeof packet_mreq::mr_address) socket.set_more_memberships(true);
  }
  pack(socket, *file.mutable_detail());
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject*) {
  TRY_ASSIGN(pb::PacketSocket socket, unpack<pb::PacketSocket>(file.detail(), "packet socket"));
  TRY_ASSIGN(Fd fd, context.borrow(file));
  if (needs_look(socket.common())) TRY(look_at_socket(fd.get(), *socket.mutable_common()));
  auto read = [&](int name) {
    int value = 0;
    socklen_t len = sizeof value;
    return ::getsockopt(fd.get(), SOL_PACKET, name, &value, &len) == 0 ? value : 0;
  };
  for (const int name : kOptions)
    if (const int value = read(name); value != 0)
      add_option(*socket.mutable_common(), SOL_PACKET, name, value);
  if (socket.has_fanout()) socket.set_fanout(static_cast<std::uint32_t>(read(PACKET_FANOUT)));
  TRY(read_rings(context, fd.get(), socket));
  pack(socket, *file.mutable_detail());
  return {};
}

std::uint32_t fanout_type(const pb::PacketSocket& socket) {
  return socket.fanout() >> 16 & 0xff;
}

bool spread_by_program(const pb::PacketSocket& socket) {
  return socket.has_fanout() &&
         (fanout_type(socket) == PACKET_FANOUT_CBPF || fanout_type(socket) == PACKET_FANOUT_EBPF);
}

Result<void> check(const pb::PacketSocket& socket) {
  auto bad = [](std::string_view why) {
    return fail(Error::bad_image(fmt::format("packet socket: {}", why)));
  };
  TRY(check_socket(socket.common(), "packet socket"));
  if (socket.common().family() != AF_PACKET) return bad("of another family");
  if (socket.protocol() > 0xffff) return bad("bad protocol");
  TRY(check_rings(socket));
  if (spread_by_program(socket)) return bad("a program that spreads packets");
  if (socket.memberships_size() > PACKET_MEMBERSHIPS) return bad("too many memberships");
  for (const pb::PacketMembership& membership : socket.memberships())
    if (membership.count() == 0 || membership.count() > kMostCount || membership.type() > 0xffff ||
        membership.address().size() > sizeof packet_mreq::mr_address)
      return bad("bad membership");
  return {};
}

bool is_filter_lock(const pb::SocketOption& option) {
  return option.level() == SOL_SOCKET && option.name() == kLockFilter;
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(const pb::PacketSocket socket, unpack<pb::PacketSocket>(file.detail(), "packet socket"));
  TRY(check(socket));
  // Of no protocol: nothing comes yet.
  pb::Socket common = socket.common();
  common.set_protocol(0);
  const bool late = has_ring(socket);
  if (late) {
    // What turns the rings must not be kept out.
    common.clear_filter();
    auto& options = *common.mutable_options();
    options.erase(std::remove_if(options.begin(), options.end(), is_filter_lock), options.end());
  }
  const Operand fd = Operand::result(plan_socket(plan, file, common));
  auto set = [&](int name, const auto& value, const char* note) {
    plan.call(kSelf, SYS_setsockopt,
              {fd, SOL_PACKET, name, Operand::data(plan.bytes_of(value)), sizeof value}, note);
  };
  if (socket.copy_threshold() != 0) set(PACKET_COPY_THRESH, socket.copy_threshold(), "copies");
  for (int i = socket.memberships_size() - 1; i >= 0; i--) {
    const pb::PacketMembership& membership = socket.memberships(i);
    packet_mreq request{};
    request.mr_ifindex = static_cast<int>(membership.interface());
    request.mr_type = static_cast<unsigned short>(membership.type());
    request.mr_alen = static_cast<unsigned short>(membership.address().size());
    std::ranges::copy(membership.address(), request.mr_address);
    const DataId block = plan.bytes_of(request);
    for (std::uint32_t k = 0; k < membership.count(); k++)
      plan.call(kSelf, SYS_setsockopt,
                {fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, Operand::data(block), sizeof request}, "membership");
  }
  plan_socket_options(plan, fd, common, OptionTime::Filled);
  plan_rings(plan, fd, socket);
  plan.set_file(file.id(), fd);
  if (late) return {};
  if (socket.protocol() != 0 || socket.interface() != 0) {
    sockaddr_ll name{};
    name.sll_family = AF_PACKET;
    name.sll_protocol = htons(static_cast<std::uint16_t>(socket.protocol()));
    name.sll_ifindex = static_cast<int>(socket.interface());
    plan.call(kSelf, SYS_bind, {fd, Operand::data(plan.bytes_of(name)), sizeof name}, "packet socket");
  }
  if (socket.has_fanout()) set(PACKET_FANOUT, socket.fanout(), "group");
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto unsupported = [](std::string code, std::string why) -> Finding {
    return {Verdict::Unsupported, std::move(code), std::move(why), ""};
  };
  auto socket = unpack<pb::PacketSocket>(file.detail(), "packet socket");
  if (!socket) return unsupported("packet", socket.error().message());
  if (Finding finding = judge_socket(socket->common()); finding.verdict != Verdict::Ok) return finding;
  if (spread_by_program(*socket))
    return unsupported("packet-fanout",
                       "a program spreads the packets of its group (PACKET_FANOUT_CBPF, PACKET_FANOUT_EBPF), "
                       "which cannot be read back");
  if (socket->more_memberships())
    return unsupported("packet-memberships",
                       fmt::format("it has more than {} memberships (PACKET_ADD_MEMBERSHIP), or ones that "
                                   "cannot be added again",
                                   static_cast<int>(PACKET_MEMBERSHIPS)));
  if (socket->interface_gone())
    return unsupported("packet-interface", "it is bound to an interface that is gone");
  return {};
}

}  // namespace

bool is_packet(const pb::File& file) {
  return file.kind() == kPacket.name && (file.flags() & O_PATH) == 0;
}

Result<pb::PacketSocket> packet_of(const pb::File& file) {
  return unpack<pb::PacketSocket>(file.detail(), "packet socket");
}

bool has_packet_ring(const pb::File& file) {
  if (!is_packet(file)) return false;
  auto socket = packet_of(file);
  return socket && has_ring(*socket);
}

extern const Kind kPacket = {
    .name = "packet",
    .kept =
        "packet sockets: protocol, interface, memberships (promiscuous mode, addresses), options, filters, "
        "the fanout group, ring buffers (TPACKET_V1 to V3, mapped, with what is in them)",
    .not_kept =
        "packets that were received and not read, but for those in ring buffers; of TPACKET_V3 those in the "
        "block "
        "that the kernel fills, and sequence numbers of blocks; statistics; the most members of a fanout "
        "group",
    .refused =
        "mappings of a part of ring buffers; fanout by a program; more than 8 memberships; a socket whose "
        "interface "
        "is gone",
    .describe = describe,
    .enrich = enrich,
    .plan = plan,
    .diagnose = diagnose,
    .map_all = map_packet_rings,
    .mappable = true,
};

}  // namespace bpfckpt::kinds
