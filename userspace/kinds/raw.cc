// SPDX-License-Identifier: Apache-2.0
// Raw sockets, and sockets for ICMP echoes ("ping sockets").
//
// A raw socket gets a copy of each packet of its protocol; what waits in it is lost, as is what passes while
// there is no socket.
#include "kinds/raw.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "bpf/kinds/inet_queue.h"
#include "bpf/kinds/socket.h"
#include "bpf/records.h"
#include "kinds/inet.h"
#include "kinds/objects.h"
#include "kinds/socket.h"

namespace bpfckpt::kinds {

extern const Kind kRaw;

namespace {

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const socket_record* socket = socket_record_of(record);
  if (socket == nullptr) return fail(Error::bug("a socket without its record"));
  pb::Raw raw;
  describe_socket(*socket, *raw.mutable_common());
  describe_inet(*socket, *raw.mutable_inet());
  // Of a raw socket the port is its protocol (net/ipv4/af_inet.c:inet_create()).
  // Nor does bind(2) leave a mark that it was called (net/ipv4/raw.c:raw_bind()).
  if (socket->type == SOCK_RAW) {
    raw.mutable_inet()->set_local_port(0);
    raw.mutable_inet()->set_port_bound(false);
    raw.mutable_inet()->set_address_bound(!is_any(raw.inet().bound_address()));
  }
  raw.set_has_memberships((socket->detail.inet.flags & INET_MEMBERSHIPS) != 0);
  pack(raw, *file.mutable_detail());
  return {};
}

Result<void> add_items(std::span<const record_head* const> items, const FileIds&, pb::File& file) {
  if (items.empty()) return {};
  TRY_ASSIGN(pb::Raw raw, raw_of(file));
  for (const record_head* head : items) {
    auto item = reinterpret_cast<const inet_item_head*>(head);
    if (item->what == INET_ITEM_MEMBERSHIP && head->length >= sizeof(inet_membership_record))
      add_membership(*reinterpret_cast<const inet_membership_record*>(head), *raw.mutable_inet());
  }
  pack(raw, *file.mutable_detail());
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject*) {
  TRY_ASSIGN(pb::Raw raw, raw_of(file));
  TRY_ASSIGN(const Fd fd, context.borrow(file));
  TRY(look_at_inet_options(fd.get(), raw.common(), *raw.mutable_inet()));
  if (needs_look(raw.common())) TRY(look_at_socket(fd.get(), *raw.mutable_common()));
  pack(raw, *file.mutable_detail());
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(const pb::Raw raw, raw_of(file));
  TRY(check_socket(raw.common(), "raw"));
  TRY(check_inet(raw.common(), raw.inet(), "raw"));
  const Operand fd = Operand::result(plan_socket(plan, file, raw.common()));
  plan_inet_options(plan, fd, raw.common(), raw.inet());
  plan_ipv6_only(plan, fd, raw.common(), raw.inet());
  plan_names(plan, fd, raw.common(), raw.inet());
  plan_memberships(plan, fd, raw.common(), raw.inet());
  plan_socket_options(plan, fd, raw.common(), OptionTime::Filled);
  plan_shutdown(plan, fd, raw.common());
  plan.set_file(file.id(), fd);
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto raw = raw_of(file);
  if (!raw) return {Verdict::Unsupported, "raw", raw.error().message(), ""};
  if (Finding finding = judge_socket(raw->common()); finding.verdict != Verdict::Ok) return finding;
  if (Finding finding = judge_inet(raw->inet()); finding.verdict != Verdict::Ok) return finding;
  if (raw->has_memberships() && raw->inet().memberships().empty())
    return {Verdict::Unsupported, "raw-multicast", "it joined multicast groups", ""};
  return {};
}

}  // namespace

bool is_raw(const pb::File& file) {
  return file.kind() == kRaw.name && (file.flags() & O_PATH) == 0;
}

Result<pb::Raw> raw_of(const pb::File& file) {
  return unpack<pb::Raw>(file.detail(), "raw");
}

extern const Kind kRaw = {
    .name = "raw",
    .kept = "raw and ICMP echo sockets: protocol, addresses, filters, options, multicast groups and sources",
    .not_kept = "packets that were received and not read",
    .refused = "IP options, anycast",
    .describe = describe,
    .enrich = enrich,
    .plan = plan,
    .diagnose = diagnose,
    .add_items = add_items,
};

}  // namespace bpfckpt::kinds
