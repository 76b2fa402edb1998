// SPDX-License-Identifier: Apache-2.0
// Sockets of families and protocols whose state the kernel keeps to itself: refused, each by its name.
#include <sys/socket.h>

#include "bpf/kinds/socket.h"
#include "bpf/records.h"
#include "kinds/kind.h"
#include "kinds/objects.h"
#include "kinds/socket.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint32_t kDccp = 33, kSctp = 132, kMptcp = 262, kSmc = 256, kL2tp = 115;  // IPPROTO_*

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  pb::Socket socket;
  if (const socket_record* part = socket_record_of(record)) describe_socket(*part, socket);
  pack(socket, *file.mutable_detail());
  file.set_operations(std::string(record.name, ::strnlen(record.name, sizeof record.name)));
  return {};
}

Result<void> plan(PlanBuilder&, const pb::File& file, const pb::FileObject*) {
  return fail(Error::bad_image(fmt::format("a file of kind {}, which no dump takes", file.kind())));
}

struct Family {
  std::uint32_t family;
  std::string_view reason;
};
constexpr Family kFamilies[] = {
    {AF_VSOCK, "its connection is one with a hypervisor or another guest"},
    {AF_ALG, "keys and half-done operations of the kernel's cryptography cannot be read back"},
    {AF_XDP, "its rings are shared with a network device"},
    {AF_BLUETOOTH, "its connection is one of a device"},
    {AF_CAN, "filters and jobs of the CAN bus cannot all be read back"},
    {AF_TIPC, "its connections and memberships cannot be made again"},
    {AF_RDS, "its connections cannot be made again"},
    {AF_KEY, "what it waits for from the key manager cannot be read back"},
    {AF_SMC, "its connection is one of a device"},
    {AF_NFC, "its connection is one of a device"},
};

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  auto socket = unpack<pb::Socket>(file.detail(), "socket");
  if (!socket) return {};
  std::string name = family_name(socket->family());
  std::string_view reason = "it is not known how to make it again";
  if (socket->family() == AF_INET || socket->family() == AF_INET6) {
    switch (socket->protocol()) {
      case kMptcp:
        name = "MPTCP", reason = "subflows and their state cannot be read back";
        break;
      case kSctp:
        name = "SCTP", reason = "associations cannot be read back or made again";
        break;
      case kDccp:
        name = "DCCP", reason = "its connection cannot be read back or made again";
        break;
      case kSmc:
        name = "SMC", reason = "its connection is one of a device";
        break;
      case kL2tp:
        name = "L2TP", reason = "its tunnel belongs to the kernel";
        break;
      default:
        name += fmt::format(", type {}, protocol {}", socket->type(), socket->protocol());
    }
  } else {
    for (const Family& family : kFamilies)
      if (family.family == socket->family()) reason = family.reason;
  }
  return {Verdict::Unsupported, "socket-family", fmt::format("a socket of {}: {}", name, reason),
          fmt::format("--external socket:[{}]", file.inode().number())};
}

}  // namespace

extern const Kind kSocketOther = {
    .name = "socket_other",
    .kept =
        "nothing: sockets of families that no other row names (vsock, AF_ALG, XDP, Bluetooth, SCTP, MPTCP, "
        "...)",
    .not_kept = "everything",
    .refused = "always, by the family's name; `--external` leaves it to `--inherit-fd`",
    .describe = describe,
    .plan = plan,
    .diagnose = diagnose,
};

}  // namespace bpfckpt::kinds
