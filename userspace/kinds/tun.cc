// SPDX-License-Identifier: Apache-2.0
// /dev/net/tun: a descriptor is one queue of a TUN or TAP interface, or of none yet.
//
// The driver tells by ioctl(2) to which interface a descriptor is attached and how, and netlink what the
// interface is. Kept: name, TUN or TAP, flags, queues, owner and group, size and byte order of the header,
// send buffer; of the interface itself the hardware address (TAP), the MTU and flags (that it is up). A
// persistent interface is still there at restore, any other one vanished with its last descriptor and is made
// anew. Not kept: packets on the way, addresses and routes of an interface that is made anew, offloads and
// filters (whoever sets them bears their being off), queues that were detached.
//
// An interface belongs to the network namespace in which the device was opened (drivers/net/tun.c:
// tun_chr_open()): bpfckpt's own. A tree with one of its own needs its interfaces made there.
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "bpf/records.h"
#include "images/kinds/tun.pb.h"
#include "kinds/kind.h"
#include "kinds/objects.h"
#include "kinds/place.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::size_t kHardwareAddressBytes = 6;
constexpr std::uint32_t kNobody = UINT32_MAX;
// What TUNSETIFF takes: the other flags of TUNGETIFF tell what was set in another way.
constexpr std::uint32_t kSettableFlags = IFF_TUN | IFF_TAP | IFF_NAPI | IFF_NAPI_FRAGS | IFF_NO_PI |
                                         IFF_ONE_QUEUE | IFF_VNET_HDR | IFF_MULTI_QUEUE;

Result<void> describe(const file_record&, pb::File&, pb::FileObject*) {
  return {};
}

// Calls `visit(type, bytes)` for each attribute of a netlink message.
void for_each_attribute(std::span<const std::byte> bytes, auto&& visit) {
  while (bytes.size() >= sizeof(rtattr)) {
    rtattr head;
    std::memcpy(&head, bytes.data(), sizeof head);
    if (head.rta_len < sizeof head || head.rta_len > bytes.size()) return;
    visit(head.rta_type & NLA_TYPE_MASK, bytes.subspan(RTA_LENGTH(0), head.rta_len - RTA_LENGTH(0)));
    bytes = bytes.subspan(std::min<std::size_t>(RTA_ALIGN(head.rta_len), bytes.size()));
  }
}

std::uint32_t number(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

void read_attributes(std::span<const std::byte> attributes, pb::Tun& tun) {
  for_each_attribute(attributes, [&](int type, std::span<const std::byte> value) {
    if (type == IFLA_MTU) tun.set_mtu(number(value));
    if (type == IFLA_ADDRESS && value.size() == kHardwareAddressBytes)
      tun.set_hardware_address(value.data(), value.size());
    if (type != IFLA_LINKINFO) return;
    for_each_attribute(value, [&](int info_type, std::span<const std::byte> info) {
      if (info_type != IFLA_INFO_DATA) return;
      for_each_attribute(info, [&](int data_type, std::span<const std::byte> data) {
        if (data_type == IFLA_TUN_OWNER) tun.set_owner(number(data));
        if (data_type == IFLA_TUN_GROUP) tun.set_group(number(data));
        // TUNGETIFF says IFF_NOFILTER with the same bit.
        if (data_type == IFLA_TUN_PI)
          tun.set_flags((tun.flags() & ~std::uint32_t{IFF_NO_PI}) | (number(data) != 0 ? 0 : IFF_NO_PI));
      });
    });
  });
}

// RTM_GETLINK of the interface by its name.
Result<void> read_link(pb::Tun& tun) {
  Fd netlink(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!netlink) return fail(Error::system("netlink socket"));
  struct {
    nlmsghdr head;
    ifinfomsg info;
    rtattr name_head;
    char name[IFNAMSIZ];
  } request{};
  request.head.nlmsg_len = sizeof request;
  request.head.nlmsg_type = RTM_GETLINK;
  request.head.nlmsg_flags = NLM_F_REQUEST;
  request.info.ifi_family = AF_UNSPEC;
  request.name_head.rta_len = sizeof request.name_head + sizeof request.name;
  request.name_head.rta_type = IFLA_IFNAME;
  std::memcpy(request.name, tun.interface().data(),
              std::min<std::size_t>(tun.interface().size(), IFNAMSIZ - 1));
  if (::send(netlink.get(), &request, sizeof request, 0) < 0) return fail(Error::system("RTM_GETLINK"));
  std::vector<std::byte> answer(32 << 10);
  ssize_t got = ::recv(netlink.get(), answer.data(), answer.size(), 0);
  if (got < 0) return fail(Error::system("RTM_GETLINK"));
  nlmsghdr head{};
  constexpr std::size_t kFixed = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(ifinfomsg));
  if (static_cast<std::size_t>(got) >= sizeof head) std::memcpy(&head, answer.data(), sizeof head);
  if (head.nlmsg_type != RTM_NEWLINK || head.nlmsg_len < kFixed ||
      head.nlmsg_len > static_cast<std::size_t>(got))
    return fail(Error::system(
        fmt::format("RTM_GETLINK of {}: it is in another network namespace", tun.interface()), ENODEV));
  ifinfomsg info;
  std::memcpy(&info, answer.data() + NLMSG_HDRLEN, sizeof info);
  tun.set_interface_flags(info.ifi_flags);
  read_attributes(std::span(answer).subspan(kFixed, head.nlmsg_len - kFixed), tun);
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject*) {
  TRY_ASSIGN(Fd fd, context.borrow(file));
  pb::Tun tun;
  ifreq request{};
  if (::ioctl(fd.get(), TUNGETIFF, &request) == 0) {
    tun.set_interface(request.ifr_name, ::strnlen(request.ifr_name, IFNAMSIZ));
    tun.set_flags(static_cast<std::uint16_t>(request.ifr_flags));
    int value = 0;
    if (::ioctl(fd.get(), TUNGETVNETHDRSZ, &value) != 0) return fail(Error::system("TUNGETVNETHDRSZ"));
    tun.set_vnet_header_bytes(static_cast<std::uint32_t>(value));
    if (::ioctl(fd.get(), TUNGETSNDBUF, &value) != 0) return fail(Error::system("TUNGETSNDBUF"));
    tun.set_send_buffer_bytes(static_cast<std::uint32_t>(value));
    if (::ioctl(fd.get(), TUNGETVNETLE, &value) == 0)
      tun.set_vnet_little_endian(static_cast<std::uint32_t>(value));
    TRY(read_link(tun));
  } else if (errno != EBADFD) {  // no interface
    return fail(Error::system("TUNGETIFF"));
  }
  file.mutable_detail()->PackFrom(tun);
  return {};
}

ifreq request_for(const pb::Tun& tun) {
  ifreq request{};
  std::memcpy(request.ifr_name, tun.interface().data(), tun.interface().size());
  return request;
}

// What belongs to the interface and not to the descriptor; saying it again where it is so changes nothing.
void plan_interface(PlanBuilder& plan, Operand fd, const pb::Tun& tun) {
  auto set = [&](unsigned long what, Operand value, const char* note) {
    plan.call(kSelf, SYS_ioctl, {fd, what, value}, note);
  };
  if (tun.has_owner() && tun.owner() != kNobody) set(TUNSETOWNER, tun.owner(), "owner of the interface");
  if (tun.has_group() && tun.group() != kNobody) set(TUNSETGROUP, tun.group(), "group of the interface");
  if (tun.flags() & IFF_PERSIST) set(TUNSETPERSIST, 1, "persistent interface");
  ifreq request = request_for(tun);
  if ((tun.flags() & IFF_TAP) && !tun.hardware_address().empty()) {
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    std::memcpy(request.ifr_hwaddr.sa_data, tun.hardware_address().data(), kHardwareAddressBytes);
    set(SIOCSIFHWADDR, Operand::data(plan.bytes_of(request)), "hardware address");
  }
  OpId any = plan.call(kSelf, SYS_socket, {AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0});
  if (tun.mtu() != 0) {
    request = request_for(tun);
    request.ifr_mtu = static_cast<int>(tun.mtu());
    plan.call(kSelf, SYS_ioctl, {Operand::result(any), SIOCSIFMTU, Operand::data(plan.bytes_of(request))},
              "MTU");
  }
  // One that was down may be so for good reason, and a new one is.
  if (tun.interface_flags() & IFF_UP) {
    request = request_for(tun);
    request.ifr_flags = static_cast<short>(tun.interface_flags());
    plan.call(kSelf, SYS_ioctl, {Operand::result(any), SIOCSIFFLAGS, Operand::data(plan.bytes_of(request))},
              "up");
  }
  plan.call(kSelf, SYS_close, {Operand::result(any)});
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject* object) {
  TRY(plan_device(plan, file, object));
  TRY_ASSIGN(pb::Tun tun, unpack<pb::Tun>(file.detail(), "tun"));
  if (tun.interface().empty()) return {};
  if (tun.interface().size() >= IFNAMSIZ ||
      (!tun.hardware_address().empty() && tun.hardware_address().size() != kHardwareAddressBytes))
    return fail(Error::bad_image("tun: the interface's name or address is impossible"));
  Operand fd = *plan.file(file.id());
  ifreq request = request_for(tun);
  request.ifr_flags = static_cast<short>(tun.flags() & kSettableFlags);
  plan.call(kSelf, SYS_ioctl, {fd, TUNSETIFF, Operand::data(plan.bytes_of(request))}, "interface");
  auto set = [&](unsigned long what, std::uint32_t value, const char* note) {
    plan.call(kSelf, SYS_ioctl, {fd, what, Operand::data(plan.bytes_of(value))}, note);
  };
  set(TUNSETVNETHDRSZ, tun.vnet_header_bytes(), "header");
  if (tun.vnet_little_endian() != 0) set(TUNSETVNETLE, 1, "header");
  set(TUNSETSNDBUF, tun.send_buffer_bytes(), "send buffer");
  plan_interface(plan, fd, tun);
  return {};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy&) {
  if (file.path().deleted())
    return {Verdict::Unsupported, "device-deleted", "the device node was deleted", ""};
  return {Verdict::Ok, "tun",
          "of a network interface that is not persistent, addresses and routes are to be set again", ""};
}

}  // namespace

extern const Kind kTun = {
    .name = "tun",
    .kept =
        "name, type and flags of the interface, queues, owner, group, header, send buffer; hardware "
        "address, MTU, flags; an interface that is not persistent is made again",
    .not_kept =
        "packets on the way, addresses and routes of an interface that is made again, offloads, "
        "filters, detached queues",
    .describe = describe,
    .enrich = enrich,
    .plan = plan,
    .diagnose = diagnose,
};

}  // namespace bpfckpt::kinds
