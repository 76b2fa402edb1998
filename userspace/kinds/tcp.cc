// SPDX-License-Identifier: Apache-2.0
// TCP sockets, over IPv4 and IPv6.
//
// A connection is a 4-tuple with sequence numbers, windows, what was negotiated, and two queues. Kept: all of
// it, the bytes of both queues, and half-closed states. BPF sees the numbers; bytes are read when the packets
// of the connection are locked out (dump/connections.cc). A restore makes the socket in repair mode
// (TCP_REPAIR), in which connect(2) sends nothing and send(2) fills either queue; what may send packets
// follows when the whole tree is there (restore/connections.cc).
//
// Not kept: congestion window, round-trip times, what arrived out of order (the other end sends it again),
// and who gave the local port of a connection, bind(2) or the kernel.
#include "kinds/tcp.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <unordered_map>

#include "bpf/kinds/socket.h"
#include "bpf/records.h"
#include "kinds/inet.h"
#include "kinds/objects.h"
#include "kinds/policy.h"
#include "kinds/socket.h"

namespace bpfckpt::kinds {

extern const Kind kTcp;

namespace {

constexpr std::uint32_t kMostQueueBytes = 1U << 30;
// As large as one send(2) into the receive queue may be (net/ipv4/tcp_input.c:tcp_send_rcvq(), MAX_SKB_FRAGS
// pages at least).
constexpr std::uint32_t kChunkBytes = 64 << 10;
constexpr std::uint32_t kDiscardPort = 9;
// include/net/tcp.h: TCP_MIN_MSS, MAX_TCP_WINDOW: what TCP_MAXSEG takes.
constexpr std::uint32_t kSmallestSegment = 88, kLargestSegment = 32767;
constexpr std::string_view kLoopbackV4("\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\1", 16);
constexpr std::string_view kLoopbackV6("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1", 16);

// include/uapi/linux/tcp.h
enum {
  kTcpRepairOption = 19,
  kTcpRepairQueue = 20,
  kTcpQueueSeq = 21,
  kTcpRepairOptions = 22,
  kTcpTimestamp = 24,
  kTcpRepairWindow = 29,
};
// include/net/tcp.h: TCPOPT_*
enum { kOptionMss = 2, kOptionWindow = 3, kOptionSack = 4, kOptionTimestamp = 8 };

bool fin_was_received(std::uint32_t state) {
  return state == kTcpCloseWait || state == kTcpClosing || state == kTcpLastAck;
}

bool fin_was_written(std::uint32_t state) {
  return state == kTcpFinWait1 || state == kTcpFinWait2 || state == kTcpClosing || state == kTcpLastAck;
}

void describe_connection(const inet_record& part, std::uint32_t state, pb::TcpConnection& connection) {
  connection.set_received(part.received);
  connection.set_read(part.read);
  connection.set_acknowledged(part.acknowledged);
  connection.set_written(part.written);
  connection.set_sent(part.written);
  connection.set_fin_received(fin_was_received(state));
  connection.set_fin_written(fin_was_written(state));
  connection.set_mss(part.mss_clamp);
  connection.set_has_window_scale((part.flags & TCP_HAS_WINDOW_SCALE) != 0);
  connection.set_send_scale(part.send_scale);
  connection.set_receive_scale(part.receive_scale);
  connection.set_has_sack((part.flags & TCP_HAS_SACK) != 0);
  connection.set_has_timestamps((part.flags & TCP_HAS_TIMESTAMPS) != 0);
  connection.set_timestamps_us((part.flags & TCP_TIMESTAMPS_US) != 0);
  connection.set_timestamp(part.timestamp);
  connection.set_window_segment(part.window_segment);
  connection.set_send_window(part.send_window);
  connection.set_max_window(part.max_window);
  connection.set_receive_window(part.receive_window);
  connection.set_window_update(part.window_update);
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const socket_record* socket = socket_record_of(record);
  if (socket == nullptr) return fail(Error::bug("a socket without its record"));
  const inet_record& part = socket->detail.inet;
  pb::Tcp tcp;
  describe_socket(*socket, *tcp.mutable_common());
  describe_inet(*socket, *tcp.mutable_inet());
  tcp.set_state(socket->state);
  tcp.set_max_backlog(socket->max_backlog);
  tcp.set_user_mss(part.user_mss);
  if (socket->state == kTcpListen) tcp.set_unaccepted(socket->backlog);
  if (is_connection(tcp) || was_connection(tcp))
    describe_connection(part, socket->state, *tcp.mutable_connection());
  else
    tcp.set_window_clamp(part.window_clamp);
  tcp.set_option_words(std::string(reinterpret_cast<const char*>(part.options), sizeof part.options));
  tcp.set_has_ulp((part.flags & TCP_HAS_ULP) != 0);
  tcp.set_is_signed((part.flags & TCP_SIGNED) != 0);
  tcp.set_multipath((part.flags & TCP_MULTIPATH) != 0);
  tcp.set_urgent((part.flags & TCP_URGENT) != 0);
  tcp.set_in_repair((part.flags & TCP_IN_REPAIR) != 0);
  tcp.set_fast_open((part.flags & TCP_FAST_OPEN) != 0);
  pack(tcp, *file.mutable_detail());
  return {};
}

std::string tuple(const std::string& from, std::uint32_t from_port, const std::string& to,
                  std::uint32_t to_port) {
  const std::uint32_t ports[2] = {from_port, to_port};
  return from + to + std::string(reinterpret_cast<const char*>(ports), sizeof ports);
}

// Who has the same options, and whose other end is in the tree.
Result<void> settle(Model& model) {
  struct One {
    pb::File* file;
    pb::Tcp tcp;
  };
  std::vector<One> all;
  std::unordered_map<std::string, std::uint32_t> by_options;
  std::unordered_map<std::string, std::uint32_t> by_tuple;
  for (pb::File& file : *model.files.mutable_files()) {
    if (!is_tcp(file)) continue;
    TRY_ASSIGN(pb::Tcp tcp, tcp_of(file));
    const std::string key = fmt::format("{} ", tcp.common().family()) + tcp.option_words();
    const auto [like, fresh] = by_options.try_emplace(key, file.id());
    if (!fresh) tcp.set_options_like(like->second);
    tcp.clear_option_words();
    const pb::InetSocket& inet = tcp.inet();
    if (is_connection(tcp))
      by_tuple.emplace(
          tuple(inet.local_address(), inet.local_port(), inet.remote_address(), inet.remote_port()),
          file.id());
    all.push_back({&file, std::move(tcp)});
  }
  for (One& one : all) {
    const pb::InetSocket& inet = one.tcp.inet();
    one.tcp.set_peer_outside(is_connection(one.tcp) &&
                             !by_tuple.contains(tuple(inet.remote_address(), inet.remote_port(),
                                                      inet.local_address(), inet.local_port())));
    set_tcp(one.tcp, *one.file);
  }
  return {};
}

Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject*) {
  TRY_ASSIGN(pb::Tcp tcp, tcp_of(file));
  const bool own_options = tcp.options_like() == 0;
  if (!own_options && !needs_look(tcp.common())) return {};
  TRY_ASSIGN(Fd fd, context.borrow(file));
  if (own_options) TRY(look_at_inet_options(fd.get(), tcp.common(), *tcp.mutable_inet()));
  if (needs_look(tcp.common())) TRY(look_at_socket(fd.get(), *tcp.mutable_common()));
  set_tcp(tcp, file);
  return {};
}

// --- plan

class SocketPlan {
 public:
  SocketPlan(PlanBuilder& plan, const pb::File& file, const pb::Tcp& tcp, const pb::InetSocket& options)
      : plan_(plan), file_(file), tcp_(tcp), options_(options) {}

  Result<void> run();

 private:
  void set(int level, int name, int value, const char* note = "") {
    plan_.call(kSelf, SYS_setsockopt, {fd_, level, name, Operand::data(plan_.bytes_of(value)), sizeof value},
               note);
  }
  void set_tcp(int name, int value, const char* note = "") { set(IPPROTO_TCP, name, value, note); }
  void set_queue(TcpQueue queue) { set_tcp(kTcpRepairQueue, queue); }
  void bind(const std::string& address, std::uint32_t port);
  void listen();
  void unconnected();
  Result<void> connected();
  void connect();
  void negotiated();
  Result<void> fill(const pb::Content& content, std::uint32_t bytes);
  void window();
  void buffers(std::uint32_t receive, std::uint32_t send);

  PlanBuilder& plan_;
  const pb::File& file_;
  const pb::Tcp& tcp_;
  const pb::InetSocket& options_;
  Operand fd_;
};

void SocketPlan::bind(const std::string& address, std::uint32_t port) {
  plan_bind(plan_, fd_, socket_address(tcp_.common().family(), address, port, tcp_.inet().scope()));
}

// Its connections may be made already, or later, in any order; they have its port. That they and it may be
// reused makes the kernel look at other listeners only (net/ipv4/inet_connection_sock.c:
// inet_csk_bind_conflict()).
void SocketPlan::listen() {
  const bool reuse = std::ranges::any_of(tcp_.common().options(), [](const pb::SocketOption& option) {
    return option.level() == SOL_SOCKET && option.name() == SO_REUSEADDR;
  });
  if (!reuse) set(SOL_SOCKET, SO_REUSEADDR, 1, "while its port is shared");
  bind(tcp_.inet().bound_address(), tcp_.inet().local_port());
  if (tcp_.state() == kTcpListen) plan_.call(kSelf, SYS_listen, {fd_, tcp_.max_backlog()});
  if (!reuse) set(SOL_SOCKET, SO_REUSEADDR, 0);
}

void SocketPlan::unconnected() {
  if (tcp_.user_mss() != 0) set_tcp(TCP_MAXSEG, static_cast<int>(tcp_.user_mss()));
  if (tcp_.window_clamp() != 0) set_tcp(TCP_WINDOW_CLAMP, static_cast<int>(tcp_.window_clamp()));
  const pb::InetSocket& inet = tcp_.inet();
  if (tcp_.state() == kTcpSynSent) {
    // Its connect(2) comes when all is made: restore/connections.cc.
    bind(inet.local_address(), inet.local_port());
  } else if (tcp_.state() == kTcpListen || inet.local_port() != 0 || inet.address_bound()) {
    listen();
  }
}

void SocketPlan::connect() {
  const pb::InetSocket& inet = tcp_.inet();
  const pb::TcpConnection& connection = tcp_.connection();
  // In repair mode ports are shared with whomever (SK_FORCE_REUSE).
  set_tcp(kTcpRepairOption, kRepairOn, "repair");
  std::string local = inet.local_address(), remote = inet.remote_address();
  std::uint32_t local_port = inet.local_port(), remote_port = inet.remote_port();
  if (tcp_.taken_closed()) {
    // Nobody is there any more; it need not be a place that this machine has.
    local = remote = tcp_.common().family() == AF_INET ? kLoopbackV4 : kLoopbackV6;
    local_port = 0;
    remote_port = kDiscardPort;
  } else if (was_connection(tcp_)) {
    // TIME-WAIT, or another connection, may have its place by now. Any other end will do to be reset by.
    remote = local;
    remote_port = 1 + file_.id() % 65535;
    if (remote_port == local_port) remote_port = remote_port % 65535 + 1;
  }
  bind(local, local_port);
  set_queue(kReceiveQueue);
  set_tcp(kTcpQueueSeq,
          static_cast<int>(unread_end(connection) - static_cast<std::uint32_t>(connection.unread().size())));
  set_queue(kSendQueue);
  set_tcp(kTcpQueueSeq, static_cast<int>(written_end(connection) -
                                         static_cast<std::uint32_t>(connection.unacknowledged().size())));
  if (connection.has_timestamps()) {
    // The lowest bit says in which unit it counts; the others, what comes next (since 6.7).
    const std::uint32_t timestamp = (connection.timestamp() & ~1U) | (connection.timestamps_us() ? 1U : 0U);
    set_tcp(kTcpTimestamp, static_cast<int>(timestamp + 2));
  }
  // The size of what it sends is settled when it connects, and not again as long as the path is the same; in
  // repair mode nobody has told by then what the other end takes (net/ipv4/tcp_output.c:tcp_connect_init()).
  set_tcp(TCP_MAXSEG, static_cast<int>(std::clamp(connection.mss(), kSmallestSegment, kLargestSegment)),
          "segments");
  plan_connect(plan_, fd_, socket_address(tcp_.common().family(), remote, remote_port, inet.scope()));
}

void SocketPlan::negotiated() {
  const pb::TcpConnection& connection = tcp_.connection();
  struct {
    std::uint32_t code, value;
  } options[4];
  std::size_t count = 0;
  options[count++] = {kOptionMss, connection.mss()};
  if (connection.has_window_scale())
    options[count++] = {kOptionWindow, connection.send_scale() | connection.receive_scale() << 16};
  if (connection.has_sack()) options[count++] = {kOptionSack, 0};
  if (connection.has_timestamps()) options[count++] = {kOptionTimestamp, 0};
  DataId block = plan_.data(std::as_bytes(std::span(options, count)));
  plan_.call(kSelf, SYS_setsockopt,
             {fd_, IPPROTO_TCP, kTcpRepairOptions, Operand::data(block), count * sizeof options[0]},
             "negotiated");
  set_tcp(TCP_MAXSEG, static_cast<int>(tcp_.user_mss()));
}

Result<void> SocketPlan::fill(const pb::Content& content, std::uint32_t bytes) {
  if (bytes == 0) return {};
  if (content.extents_size() != 1 || content.extents(0).length() < bytes)
    return fail(Error::bad_image("tcp: a queue without its bytes"));
  const OpId image = plan_.open_image(content.image());
  const DataId chunk = plan_.scratch(std::min(bytes, kChunkBytes));
  for (std::uint32_t done = 0; done < bytes;) {
    const std::uint32_t len = std::min(bytes - done, kChunkBytes);
    plan_.call_expecting(
        kSelf, len, SYS_pread64,
        {Operand::result(image), Operand::data(chunk), len, content.extents(0).image_offset() + done});
    plan_.call_expecting(kSelf, len, SYS_sendto, {fd_, Operand::data(chunk), len, MSG_DONTWAIT, 0, 0},
                         "queue");
    done += len;
  }
  return {};
}

void SocketPlan::window() {
  const pb::TcpConnection& connection = tcp_.connection();
  struct {
    std::uint32_t segment, send, max, receive, update;
  } window{connection.window_segment(), connection.send_window(),
           std::max(connection.max_window(), connection.send_window()), connection.receive_window(),
           connection.window_update()};
  // The FIN is not here yet (restore/connections.cc), and there is room for it.
  const std::uint32_t end = unread_end(connection);
  if (static_cast<std::int32_t>(window.update - end) > 0) {
    window.receive += window.update - end;
    window.update = end;
  }
  if (static_cast<std::int32_t>(window.segment - end) > 0) window.segment = end;
  if (connection.fin_received() && static_cast<std::int32_t>(window.update + window.receive - end) < 1)
    window.receive = end - window.update + 1;
  plan_.call(kSelf, SYS_setsockopt,
             {fd_, IPPROTO_TCP, kTcpRepairWindow, Operand::data(plan_.bytes_of(window)), sizeof window},
             "window");
}

// The kernel doubles what it is told.
void SocketPlan::buffers(std::uint32_t receive, std::uint32_t send) {
  set(SOL_SOCKET, SO_RCVBUFFORCE, static_cast<int>(receive / 2), "buffer");
  set(SOL_SOCKET, SO_SNDBUFFORCE, static_cast<int>(send / 2), "buffer");
}

Result<void> SocketPlan::connected() {
  const pb::TcpConnection& connection = tcp_.connection();
  connect();
  negotiated();
  const auto unread = static_cast<std::uint32_t>(connection.unread().size());
  const std::uint32_t sent = sent_bytes(tcp_);
  if (unread != 0 || sent != 0) {
    // What once had room may be packed less densely now.
    buffers(std::max(tcp_.common().receive_buffer(), unread * 4 + (1U << 20)),
            std::max(tcp_.common().send_buffer(), sent * 4 + (1U << 20)));
    set_queue(kReceiveQueue);
    TRY(fill(connection.unread(), unread));
    set_queue(kSendQueue);
    TRY(fill(connection.unacknowledged(), sent));
  }
  set_queue(kNoQueue);
  window();
  if (unread != 0 || sent != 0) {
    buffers(tcp_.common().receive_buffer(), tcp_.common().send_buffer());
    plan_.try_call(
        kSelf, SYS_setsockopt,
        {fd_, SOL_SOCKET, SO_BUF_LOCK, Operand::data(plan_.bytes_of(tcp_.common().buffer_locks())), 4},
        "buffer lock");
  }
  return {};
}

Result<void> SocketPlan::run() {
  fd_ = Operand::result(plan_socket(plan_, file_, tcp_.common()));
  plan_inet_options(plan_, fd_, tcp_.common(), options_);
  plan_ipv6_only(plan_, fd_, tcp_.inet());
  if (is_connection(tcp_) || was_connection(tcp_))
    TRY(connected());
  else
    unconnected();
  plan_socket_options(plan_, fd_, tcp_.common(), OptionTime::Filled);
  plan_.set_file(file_.id(), fd_);
  return {};
}

Result<void> check(const pb::Tcp& tcp) {
  TRY(check_socket(tcp.common(), "tcp"));
  TRY(check_inet(tcp.common(), tcp.inet(), "tcp"));
  auto bad = [](std::string_view why) { return fail(Error::bad_image(fmt::format("tcp: {}", why))); };
  if (tcp.state() < kTcpEstablished || tcp.state() > kTcpClosing || tcp.state() == kTcpTimeWait ||
      tcp.state() == kTcpSynReceived)
    return bad(fmt::format("state {}", tcp.state()));
  if (tcp.user_mss() > 65535 || tcp.connection().mss() > 65535) return bad("bad segment size");
  if (tcp.connection().send_scale() > 14 || tcp.connection().receive_scale() > 14)
    return bad("bad window scale");
  for (const pb::Content* content : {&tcp.connection().unread(), &tcp.connection().unacknowledged()})
    if (content->size() > kMostQueueBytes || content->extents_size() > 1 ||
        (content->extents_size() == 1 && content->extents(0).length() != content->size()) ||
        (content->extents_size() == 0 && content->size() != 0))
      return bad("bad queue");
  return {};
}

Result<void> plan(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
  TRY_ASSIGN(const pb::Tcp tcp, tcp_of(file));
  TRY(check(tcp));
  if (tcp.options_like() == 0) return SocketPlan(plan, file, tcp, tcp.inet()).run();
  const pb::File* like = plan.index().file(tcp.options_like());
  if (like == nullptr || !is_tcp(*like))
    return fail(Error::bad_image("tcp: options of another socket that is not there"));
  TRY_ASSIGN(const pb::Tcp other, tcp_of(*like));
  TRY(check(other));
  return SocketPlan(plan, file, tcp, other.inet()).run();
}

// --- diagnose

std::string name_of(const pb::Tcp& tcp) {
  const pb::InetSocket& inet = tcp.inet();
  if (inet.remote_port() == 0) return endpoint(inet.bound_address(), inet.local_port());
  return fmt::format("{} -> {}", endpoint(inet.local_address(), inet.local_port()),
                     endpoint(inet.remote_address(), inet.remote_port()));
}

Finding unsupported(std::string code, std::string why) {
  return {Verdict::Unsupported, std::move(code), std::move(why), ""};
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy& policy) {
  auto unpacked = tcp_of(file);
  if (!unpacked) return unsupported("tcp", unpacked.error().message());
  const pb::Tcp& tcp = *unpacked;
  if (Finding finding = judge_socket(tcp.common()); finding.verdict != Verdict::Ok) return finding;
  if (Finding finding = judge_inet(tcp.inet()); finding.verdict != Verdict::Ok) return finding;
  const std::string name = name_of(tcp);
  if (tcp.multipath())
    return unsupported("tcp-mptcp", fmt::format("{} is a subflow of an MPTCP connection", name));
  if (tcp.has_ulp())
    return unsupported("tcp-ulp",
                       fmt::format("{} has a protocol on top of it in the kernel (TCP_ULP: kTLS)", name));
  if (tcp.is_signed())
    return unsupported("tcp-signed",
                       fmt::format("{} signs its packets (TCP_MD5SIG, TCP_AO); keys cannot be read", name));
  if (tcp.in_repair())
    return unsupported("tcp-repair",
                       fmt::format("{} is in repair mode (TCP_REPAIR): somebody else takes it apart", name));
  if (tcp.fast_open() || tcp.state() == kTcpSynReceived)
    return unsupported("tcp-fast-open",
                       fmt::format("{} is in the middle of a handshake that the other end began", name));
  if (tcp.urgent())
    return unsupported("tcp-urgent", fmt::format("{} has an urgent byte unread (MSG_OOB)", name));
  if (tcp.unaccepted() != 0 && !policy.skip_in_flight)
    return {
        Verdict::NeedsOption, "tcp-in-flight",
        fmt::format("{} connections to {} are not accepted yet; they would be lost", tcp.unaccepted(), name),
        "--skip-in-flight"};
  if (is_connection(tcp) && !policy.tcp_established && !policy.tcp_close)
    return {Verdict::NeedsOption, "tcp-established",
            fmt::format("a TCP connection ({}): {}", tcp_state_name(tcp.state()), name),
            "--tcp-established or --tcp-close"};
  if (is_connection(tcp) && !tcp.taken_closed() && tcp.common().error() != 0)
    return unsupported("tcp-error", fmt::format("{} has an error that nobody has read (SO_ERROR {})", name,
                                                tcp.common().error()));
  if (was_connection(tcp) && tcp.common().error() != 0 && tcp.common().error() != ECONNRESET)
    return unsupported("tcp-error", fmt::format("{} ended with an error that nobody has read (SO_ERROR {})",
                                                name, tcp.common().error()));
  return {};
}

}  // namespace

const char* tcp_state_name(std::uint32_t state) {
  constexpr const char* kNames[] = {"?",          "ESTABLISHED", "SYN-SENT",  "SYN-RECV",
                                    "FIN-WAIT-1", "FIN-WAIT-2",  "TIME-WAIT", "CLOSED",
                                    "CLOSE-WAIT", "LAST-ACK",    "LISTEN",    "CLOSING"};
  return kNames[state < std::size(kNames) ? state : 0];
}

bool is_tcp(const pb::File& file) {
  return file.kind() == kTcp.name && (file.flags() & O_PATH) == 0;
}

Result<pb::Tcp> tcp_of(const pb::File& file) {
  return unpack<pb::Tcp>(file.detail(), "tcp");
}

void set_tcp(const pb::Tcp& tcp, pb::File& file) {
  pack(tcp, *file.mutable_detail());
}

bool is_connection(const pb::Tcp& tcp) {
  switch (tcp.state()) {
    case kTcpClose:
    case kTcpListen:
    case kTcpSynSent:
      return false;
    default:
      return true;
  }
}

// Ending one way or the other sets both (net/ipv4/tcp.c:tcp_done()); of a socket that never was connected,
// nothing can be shut down.
bool was_connection(const pb::Tcp& tcp) {
  return tcp.taken_closed() || (tcp.state() == kTcpClose && tcp.common().shutdown() == 3);
}

std::uint32_t unread_end(const pb::TcpConnection& connection) {
  return connection.received() - (connection.fin_received() ? 1 : 0);
}

std::uint32_t written_end(const pb::TcpConnection& connection) {
  return connection.written() - (connection.fin_written() ? 1 : 0);
}

std::uint32_t sent_bytes(const pb::Tcp& tcp) {
  const pb::TcpConnection& connection = tcp.connection();
  const auto all = static_cast<std::int32_t>(connection.unacknowledged().size());
  const auto sent = static_cast<std::int32_t>(connection.sent() - connection.acknowledged());
  return static_cast<std::uint32_t>(std::clamp(sent, 0, all));
}

extern const Kind kTcp = {
    .name = "tcp",
    .kept =
        "addresses, options, listening and backlog; of connections the bytes of both queues, what was "
        "negotiated, "
        "windows, half-closed states (`--tcp-established`)",
    .not_kept =
        "congestion window and round-trip times; connections that nobody accepted yet (`--skip-in-flight`); "
        "with `--tcp-close` all connections",
    .refused =
        "established connections without an option; kTLS, MPTCP, MD5 and AO signatures, urgent bytes; "
        "programs "
        "that choose among the sockets of a port",
    .describe = describe,
    .enrich = enrich,
    .plan = plan,
    .diagnose = diagnose,
    .settle = settle,
};

}  // namespace bpfckpt::kinds
