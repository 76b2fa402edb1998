// SPDX-License-Identifier: Apache-2.0
// UDP and UDP-Lite sockets.
//
// Kept: what they are bound and connected to, which multicast groups they joined, options, what was shut
// down, and the datagrams that wait to be read (kinds/datagrams.h). One that is being put together is
// refused. Not kept: an error that nobody has read, and what arrives while there is no socket.
#include "kinds/udp.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "bpf/kinds/inet_queue.h"
#include "bpf/kinds/socket.h"
#include "bpf/records.h"
#include "kinds/datagrams.h"
#include "kinds/inet.h"
#include "kinds/objects.h"
#include "kinds/socket.h"

namespace bpfckpt::kinds {

extern const Kind kUdp;

namespace {

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const socket_record* socket = socket_record_of(record);
  if (socket == nullptr) return fail(Error::bug("a socket without its record"));
  pb::Udp udp;
  describe_socket(*socket, *udp.mutable_common());
  describe_inet(*socket, *udp.mutable_inet());
  const inet_record& part = socket->detail.inet;
  udp.set_queued(socket->queued + part.reader_queue);
  udp.set_corked((part.flags & INET_CORKED) != 0);
  udp.set_has_memberships((part.flags & INET_MEMBERSHIPS) != 0);
  pack(udp, *file.mutable_detail());
  return {};
}

Result<void> add_items(std::span<const record_head* const> items, const FileIds&, pb::File& file) {
  if (items.empty()) return {};
  TRY_ASSIGN(pb::Udp udp, udp_of(file));
  for (const record_head* head : items) {
    auto item = reinterpret_cast<const inet_item_head*>(head);
    if (item->what == INET_ITEM_MEMBERSHIP && head->length >= sizeof(inet_membership_record))
      add_membership(*reinterpret_cast<const inet_membership_record*>(head), *udp.mutable_inet());
    if (item->what == INET_ITEM_DATAGRAM && head->length >= sizeof(inet_datagram_record))
      add_datagram(*reinterpret_cast<const inet_datagram_record*>(head), udp);
  }
  pack(udp, *file.mutable_detail());
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject*) {
  TRY_ASSIGN(pb::Udp udp, udp_of(file));
  TRY_ASSIGN(const Fd fd, context.borrow(file));
  TRY(look_at_inet_options(fd.get(), udp.common(), *udp.mutable_inet()));
  if (needs_look(udp.common())) TRY(look_at_socket(fd.get(), *udp.mutable_common()));
  TRY(read_datagrams(fd.get(), udp));
  take_datagrams_apart(udp);
  pack(udp, *file.mutable_detail());
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(const pb::Udp udp, udp_of(file));
  TRY(check_socket(udp.common(), "udp"));
  TRY(check_inet(udp.common(), udp.inet(), "udp"));
  TRY(check_datagrams(udp));
  const Operand fd = Operand::result(plan_socket(plan, file, udp.common()));
  plan_inet_options(plan, fd, udp.common(), udp.inet());
  plan_datagrams(plan, fd, file, udp);
  plan_ipv6_only(plan, fd, udp.common(), udp.inet());
  plan_names(plan, fd, udp.common(), udp.inet());
  plan_memberships(plan, fd, udp.common(), udp.inet());
  plan_socket_options(plan, fd, udp.common(), OptionTime::Filled);
  plan_datagrams_end(plan, fd, udp);
  plan_shutdown(plan, fd, udp.common());
  plan.set_file(file.id(), fd);
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto udp = udp_of(file);
  if (!udp) return {Verdict::Unsupported, "udp", udp.error().message(), ""};
  if (Finding finding = judge_socket(udp->common()); finding.verdict != Verdict::Ok) return finding;
  if (Finding finding = judge_inet(udp->inet()); finding.verdict != Verdict::Ok) return finding;
  const std::string name = endpoint(udp->inet().bound_address(), udp->inet().local_port());
  if (udp->corked())
    return {Verdict::Unsupported, "udp-corked",
            fmt::format("{}: a datagram is being put together (UDP_CORK, MSG_MORE)", name), ""};
  if (udp->has_memberships() && udp->inet().memberships().empty())
    return {Verdict::Unsupported, "udp-multicast", fmt::format("{} joined multicast groups", name), ""};
  return judge_datagrams(*udp, name);
}

}  // namespace

bool is_udp(const pb::File& file) {
  return file.kind() == kUdp.name && (file.flags() & O_PATH) == 0;
}

Result<pb::Udp> udp_of(const pb::File& file) {
  return unpack<pb::Udp>(file.detail(), "udp");
}

extern const Kind kUdp = {
    .name = "udp",
    .kept =
        "UDP and UDP-Lite: what it is bound and connected to, options, multicast groups and sources, what "
        "was "
        "shut down, datagrams that wait to be read with their addresses, TTL and TOS",
    .not_kept =
        "an error that nobody has read; what arrives while there is no socket; when, and at which interface, "
        "a datagram arrived, and for which group one of IPv6 was; that UDP_GRO had put some together",
    .refused = "datagrams that are being put together; ones that wait from link-local senders",
    .describe = describe,
    .enrich = enrich,
    .plan = plan,
    .diagnose = diagnose,
    .add_items = add_items,
};

}  // namespace bpfckpt::kinds
