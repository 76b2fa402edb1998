// SPDX-License-Identifier: Apache-2.0
// UDP and UDP-Lite sockets.
//
// Kept: what they are bound and connected to, which multicast groups they joined, options, what was shut
// down. A datagram that waits is refused, as is one that is being put together: neither can be made again
// with all that comes with it. Not kept: an error that nobody has read, and what arrives while there is no
// socket.
#include "kinds/udp.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "bpf/kinds/socket.h"
#include "bpf/records.h"
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

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject*) {
  TRY_ASSIGN(pb::Udp udp, udp_of(file));
  TRY_ASSIGN(const Fd fd, context.borrow(file));
  TRY(look_at_inet_options(fd.get(), udp.common(), *udp.mutable_inet()));
  if (needs_look(udp.common())) TRY(look_at_socket(fd.get(), *udp.mutable_common()));
  pack(udp, *file.mutable_detail());
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(const pb::Udp udp, udp_of(file));
  TRY(check_socket(udp.common(), "udp"));
  TRY(check_inet(udp.common(), udp.inet(), "udp"));
  const Operand fd = Operand::result(plan_socket(plan, file, udp.common()));
  plan_inet_options(plan, fd, udp.common(), udp.inet());
  plan_ipv6_only(plan, fd, udp.inet());
  plan_names(plan, fd, udp.common(), udp.inet());
  plan_memberships(plan, fd, udp.common(), udp.inet());
  plan_socket_options(plan, fd, udp.common(), OptionTime::Filled);
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
  if (udp->queued() != 0)
    return {Verdict::Unsupported, "udp-queued",
            fmt::format("{} has {} datagrams that were received and not read", name, udp->queued()), ""};
  return {};
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
    .kept = "UDP and UDP-Lite: what it is bound and connected to, options, what was shut down",
    .not_kept = "an error that nobody has read; what arrives while there is no socket",
    .refused = "datagrams that wait to be read, or are being put together; multicast groups",
    .describe = describe,
    .enrich = enrich,
    .plan = plan,
    .diagnose = diagnose,
};

}  // namespace bpfckpt::kinds
