// SPDX-License-Identifier: Apache-2.0
// Options of SOL_SOCKET: from the record, over a descriptor, and back.
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include <algorithm>
#include <array>
#include <climits>
#include <cstring>

#include "bpf/kinds/socket.h"
#include "kinds/socket.h"

namespace bpfckpt::kinds {
namespace {

// include/uapi/asm-generic/socket.h, as far as glibc's headers may lack them
enum Option {
  kDebug = 1,
  kReuseAddress = 2,
  kDontRoute = 5,
  kBroadcast = 6,
  kSendBufferForce = 32,
  kReceiveBufferForce = 33,
  kKeepAlive = 9,
  kOobInline = 10,
  kNoCheck = 11,
  kPriority = 12,
  kLinger = 13,
  kReusePort = 15,
  kPassCredentials = 16,
  kReceiveLow = 18,
  kReceiveTimeout = 20,
  kSendTimeout = 21,
  kBindToDevice = 25,
  kAttachFilter = 26,
  kGetFilter = 26,
  kTimestamp = 29,
  kPassSecurity = 34,
  kTimestampNs = 35,
  kMark = 36,
  kTimestamping = 37,
  kRxqOverflow = 40,
  kWifiStatus = 41,
  kPeekOffset = 42,
  kNoFcs = 43,
  kLockFilter = 44,
  kSelectErrorQueue = 45,
  kBusyPoll = 46,
  kMaxPacingRate = 47,
  kIncomingCpu = 49,
  kPeerGroups = 59,
  kZerocopy = 60,
  kTxTime = 61,
  kTimestampNew = 63,
  kTimestampNsNew = 64,
  kTimestampingNew = 65,
  kPreferBusyPoll = 69,
  kBusyPollBudget = 70,
  kBufferLock = 72,
  kReserveMemory = 73,
  kTxRehash = 74,
  kReceiveMark = 75,
  kPassPidfd = 76,
  kReceivePriority = 82,
  kPassRights = 83,
  kInq = 84,
};

constexpr std::uint32_t kBindPhc = 1 << 15;           // SOF_TIMESTAMPING_BIND_PHC
constexpr std::uint32_t kBufferLocks = 3;             // SOCK_SNDBUF_LOCK | SOCK_RCVBUF_LOCK
constexpr std::uint32_t kBusyPollDefault = 8;         // include/net/busy_poll.h: BUSY_POLL_BUDGET
constexpr std::size_t kMaxFilterInstructions = 4096;  // BPF_MAXINSNS

// What would change, drop or colour what is put into the queues, or what other options change (IP_TOS the
// priority).
constexpr std::array kWhenFilled = {
    kPriority,         kLinger,       kPassCredentials, kReceiveLow,      kReceiveTimeout,  kSendTimeout,
    kTimestamp,        kPassSecurity, kTimestampNs,     kRxqOverflow,     kWifiStatus,      kPeekOffset,
    kLockFilter,       kTimestampNew, kTimestampNsNew,  kTimestamping,    kTimestampingNew, kReserveMemory,
    kSelectErrorQueue, kReceiveMark,  kPassPidfd,       kReceivePriority, kPassRights,      kInq,
};

bool when_filled(const pb::SocketOption& option) {
  return option.level() == SOL_SOCKET && std::ranges::find(kWhenFilled, option.name()) != kWhenFilled.end();
}

struct Flag {
  socket_flags flag;
  Option option;
};
constexpr Flag kFlags[] = {
    {SOCKET_KEEPALIVE, kKeepAlive},
    {SOCKET_BROADCAST, kBroadcast},
    {SOCKET_OOB_INLINE, kOobInline},
    {SOCKET_DONT_ROUTE, kDontRoute},
    {SOCKET_RXQ_OVERFLOW, kRxqOverflow},
    {SOCKET_ZEROCOPY, kZerocopy},
    {SOCKET_WIFI_STATUS, kWifiStatus},
    {SOCKET_NO_FCS, kNoFcs},
    {SOCKET_SELECT_ERROR_QUEUE, kSelectErrorQueue},
    {SOCKET_RECEIVE_MARK, kReceiveMark},
    {SOCKET_RECEIVE_PRIORITY, kReceivePriority},
    {SOCKET_DEBUG, kDebug},
    {SOCKET_REUSE_PORT, kReusePort},
    {SOCKET_NO_CHECK, kNoCheck},
    {SOCKET_PASS_CREDENTIALS, kPassCredentials},
    {SOCKET_PASS_SECURITY, kPassSecurity},
    {SOCKET_PASS_PIDFD, kPassPidfd},
    {SOCKET_PREFER_BUSY_POLL, kPreferBusyPoll},
};

bool is_internet(const socket_record& record) {
  return record.family == AF_INET || record.family == AF_INET6;
}

// net/ipv4/af_inet.c:inet_create(), INET_PROTOSW_REUSE: raw and ICMP echo sockets.
std::uint32_t reuse_of_new(const socket_record& record) {
  const bool echo = record.protocol == IPPROTO_ICMP || record.protocol == IPPROTO_ICMPV6;
  return is_internet(record) && (record.type == SOCK_RAW || (record.type == SOCK_DGRAM && echo)) ? 1 : 0;
}

void describe_timestamps(const socket_record& record, pb::Socket& socket) {
  const bool newer = (record.flags & SOCKET_TIMESTAMP_NEW) != 0;
  if ((record.flags & SOCKET_TIMESTAMP) != 0) {
    const bool ns = (record.flags & SOCKET_TIMESTAMP_NS) != 0;
    add_option(socket, SOL_SOCKET,
               ns ? (newer ? kTimestampNsNew : kTimestampNs) : (newer ? kTimestampNew : kTimestamp), 1);
  }
  if (record.timestamping == 0) return;
  const int name = newer ? kTimestampingNew : kTimestamping;
  if ((record.timestamping & kBindPhc) == 0)
    return add_option(socket, SOL_SOCKET, name, static_cast<int>(record.timestamping));
  const struct {
    std::int32_t flags, phc;
  } both{static_cast<std::int32_t>(record.timestamping), record.bind_phc};
  add_option(socket, SOL_SOCKET, name, {reinterpret_cast<const char*>(&both), sizeof both});
}

void describe_peer(const socket_record& record, pb::Socket& socket) {
  if (record.has_peer == 0) return;
  pb::PeerCredentials& peer = *socket.mutable_peer();
  peer.set_pid(record.peer_pid);
  peer.set_uid(record.peer_uid);
  peer.set_gid(record.peer_gid);
  const std::uint32_t count = std::min<std::uint32_t>(record.peer_groups_count, SOCKET_PEER_GROUPS);
  peer.mutable_groups()->Add(record.peer_groups, record.peer_groups + count);
}

// What the kernel keeps in another shape, or is too long for a record.
template <class Visit>
void for_each_unread(const socket_record& record, Visit visit) {
  if (record.receive_timeout != LONG_MAX) visit(kReceiveTimeout);
  if (record.send_timeout != LONG_MAX) visit(kSendTimeout);
  if ((record.flags & SOCKET_LINGER) != 0) visit(kLinger);
  if (record.device != 0) visit(kBindToDevice);
  if ((record.flags & SOCKET_HAS_FILTER) != 0) visit(kAttachFilter);
  if (record.has_peer != 0 && record.peer_groups_count > SOCKET_PEER_GROUPS) visit(kPeerGroups);
}

// Processes in other namespaces than bpfckpt's are refused for that.
std::uint32_t own_net_namespace() {
  static const std::uint32_t number = [] {
    struct stat facts{};
    return ::stat("/proc/self/ns/net", &facts) == 0 ? static_cast<std::uint32_t>(facts.st_ino) : 0;
  }();
  return number;
}

Result<void> look_at_filter(int fd, pb::Socket& socket) {
  // The length is counted in instructions.
  std::array<sock_filter, kMaxFilterInstructions> program;
  socklen_t count = program.size();
  if (::getsockopt(fd, SOL_SOCKET, kGetFilter, program.data(), &count) != 0) {
    // net/core/filter.c:sk_get_filter(): only of a classic filter the original is kept
    if (errno != EACCES) return fail(Error::system("getsockopt(SO_GET_FILTER)"));
    socket.set_ebpf_filter(true);
    return {};
  }
  socket.set_filter(std::string(reinterpret_cast<const char*>(program.data()), count * sizeof(sock_filter)));
  return {};
}

Result<void> look_at_groups(int fd, pb::Socket& socket) {
  std::vector<std::uint32_t> groups(65536);
  auto len = static_cast<socklen_t>(groups.size() * sizeof groups[0]);
  if (::getsockopt(fd, SOL_SOCKET, kPeerGroups, groups.data(), &len) != 0)
    return fail(Error::system("getsockopt(SO_PEERGROUPS)"));
  socket.mutable_peer()->clear_groups();
  socket.mutable_peer()->mutable_groups()->Add(groups.begin(), groups.begin() + len / sizeof groups[0]);
  return {};
}

void plan_buffer(PlanBuilder& plan, Operand fd, int option, std::uint32_t bytes) {
  // The kernel doubles what it is told (net/core/sock.c:__sock_set_rcvbuf()).
  plan.call(kSelf, SYS_setsockopt,
            {fd, SOL_SOCKET, option, Operand::data(plan.bytes_of(static_cast<std::int32_t>(bytes / 2))), 4},
            "buffer");
}

}  // namespace

const pb::SocketOption* find_option(const SocketOptions& options, int level, int name) {
  const auto it = std::ranges::find_if(options, [&](const pb::SocketOption& option) {
    return option.level() == level && option.name() == name;
  });
  return it == options.end() ? nullptr : &*it;
}

int int_option(const SocketOptions& options, int level, int name, int usual) {
  const pb::SocketOption* option = find_option(options, level, name);
  int value = usual;
  if (option != nullptr && option->value().size() == sizeof value)
    std::memcpy(&value, option->value().data(), sizeof value);
  return value;
}

void add_option(pb::Socket& socket, int level, int name, std::string_view value) {
  pb::SocketOption& option = *socket.add_options();
  option.set_level(level);
  option.set_name(name);
  option.set_value(std::string(value));
}

void describe_socket(const socket_record& record, pb::Socket& socket) {
  socket.set_family(record.family);
  socket.set_type(record.type);
  socket.set_protocol(record.protocol);
  socket.set_shutdown(record.shutdown);
  socket.set_error(static_cast<std::uint32_t>(record.error));
  socket.set_receive_buffer(static_cast<std::uint32_t>(record.receive_buffer));
  socket.set_send_buffer(static_cast<std::uint32_t>(record.send_buffer));
  socket.set_buffer_locks(record.buffer_locks & kBufferLocks);
  if (record.net != own_net_namespace()) socket.set_net_namespace(record.net);
  socket.set_errors_queued(record.errors_queued);
  auto add = [&](int name, std::uint32_t value, std::uint32_t usual) {
    if (value != usual) add_option(socket, SOL_SOCKET, name, static_cast<int>(value));
  };
  add(kReuseAddress, record.reuse, reuse_of_new(record));
  for (const Flag& flag : kFlags)
    if ((record.flags & flag.flag) != 0) add_option(socket, SOL_SOCKET, flag.option, 1);
  if ((record.flags & SOCKET_PASS_NO_RIGHTS) != 0) add_option(socket, SOL_SOCKET, kPassRights, 0);
  add(kPriority, record.priority, 0);
  add(kMark, record.mark, 0);
  add(kReceiveLow, static_cast<std::uint32_t>(record.receive_low), 1);
  add(kPeekOffset, static_cast<std::uint32_t>(record.peek_offset), UINT32_MAX);
  add(kBusyPoll, record.busy_poll_us, 0);
  if (record.busy_poll_budget != 0) add(kBusyPollBudget, record.busy_poll_budget, kBusyPollDefault);
  add(kReserveMemory, record.reserved_memory, 0);
  add(kIncomingCpu, static_cast<std::uint32_t>(record.incoming_cpu), UINT32_MAX);
  // Elsewhere it means nothing, and newer kernels do not let it be set and have something else in its place.
  if (is_internet(record) && record.protocol == IPPROTO_TCP && record.tx_rehash == 0)
    add_option(socket, SOL_SOCKET, kTxRehash, 0);
  if (record.max_pacing_rate != UINT64_MAX && record.max_pacing_rate != UINT32_MAX)
    add_option(socket, SOL_SOCKET, kMaxPacingRate,
               {reinterpret_cast<const char*>(&record.max_pacing_rate), sizeof record.max_pacing_rate});
  if ((record.flags & SOCKET_TXTIME) != 0) {
    const std::uint32_t value[2] = {record.clock, ((record.flags & SOCKET_TXTIME_DEADLINE) != 0 ? 1U : 0U) |
                                                      ((record.flags & SOCKET_TXTIME_REPORT) != 0 ? 2U : 0U)};
    add_option(socket, SOL_SOCKET, kTxTime, {reinterpret_cast<const char*>(value), sizeof value});
  }
  describe_timestamps(record, socket);
  if ((record.flags & SOCKET_FILTER_LOCKED) != 0) add_option(socket, SOL_SOCKET, kLockFilter, 1);
  for_each_unread(record, [&](Option option) { socket.add_unread(option); });
  describe_peer(record, socket);
}

bool needs_look(const socket_record& record) {
  bool any = false;
  for_each_unread(record, [&](Option) { any = true; });
  return any;
}

bool needs_look(const pb::Socket& socket) {
  return socket.unread_size() != 0;
}

Result<void> look_at_socket(int fd, pb::Socket& socket) {
  for (const std::uint32_t name : socket.unread()) {
    if (name == kAttachFilter)
      TRY(look_at_filter(fd, socket));
    else if (name == kPeerGroups)
      TRY(look_at_groups(fd, socket));
    else
      TRY(read_option(fd, SOL_SOCKET, static_cast<int>(name), name == kBindToDevice ? IFNAMSIZ : 16, socket));
  }
  socket.clear_unread();
  return {};
}

Result<void> read_option(int fd, int level, int name, std::size_t len_bytes, pb::Socket& socket) {
  std::string value(len_bytes, '\0');
  auto len = static_cast<socklen_t>(len_bytes);
  if (::getsockopt(fd, level, name, value.data(), &len) != 0)
    return fail(Error::system(fmt::format("getsockopt({}, {})", level, name)));
  value.resize(len);
  add_option(socket, level, name, value);
  return {};
}

void plan_socket_options(PlanBuilder& plan, Operand fd, const pb::Socket& socket, OptionTime time) {
  const bool filled = time == OptionTime::Filled;
  const Environment::SocketBuffers usual = plan.environment().socket_buffers();
  // Those of who sends and receives what is put into the queues come first and last: see the kinds.
  if (!filled && (socket.receive_buffer() != usual.receive || (socket.buffer_locks() & 2) != 0))
    plan_buffer(plan, fd, kReceiveBufferForce, socket.receive_buffer());
  if (!filled && (socket.send_buffer() != usual.send || (socket.buffer_locks() & 1) != 0))
    plan_buffer(plan, fd, kSendBufferForce, socket.send_buffer());
  const std::uint32_t locked =
      (socket.receive_buffer() != usual.receive || (socket.buffer_locks() & 2) != 0 ? 2U : 0U) |
      (socket.send_buffer() != usual.send || (socket.buffer_locks() & 1) != 0 ? 1U : 0U);
  if (filled && locked != socket.buffer_locks())
    plan.try_call(kSelf, SYS_setsockopt,
                  {fd, SOL_SOCKET, kBufferLock, Operand::data(plan.bytes_of(socket.buffer_locks())), 4},
                  "buffer lock");
  auto set = [&](const pb::SocketOption& option) {
    plan.call(kSelf, SYS_setsockopt,
              {fd, option.level(), option.name(),
               Operand::data(plan.data(std::as_bytes(std::span(option.value())))), option.value().size()},
              "option");
  };
  for (const pb::SocketOption& option : socket.options())
    if (when_filled(option) == filled && !(option.level() == SOL_SOCKET && option.name() == kLockFilter))
      set(option);
  if (!filled) return;
  if (!socket.filter().empty()) {
    struct {
      std::uint16_t count;
      std::uint64_t program;
    } filter{static_cast<std::uint16_t>(socket.filter().size() / sizeof(sock_filter)), 0};
    DataId block = plan.bytes_of(filter);
    plan.fix(block, offsetof(decltype(filter), program), 8,
             Operand::data(plan.data(std::as_bytes(std::span(socket.filter())))));
    plan.call(kSelf, SYS_setsockopt, {fd, SOL_SOCKET, kAttachFilter, Operand::data(block), sizeof filter},
              "filter");
  }
  for (const pb::SocketOption& option : socket.options())
    if (option.level() == SOL_SOCKET && option.name() == kLockFilter) set(option);
}

}  // namespace bpfckpt::kinds
