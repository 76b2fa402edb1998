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
#include <sys/socket.h>

#include <unordered_map>
#include <unordered_set>

#include "bpf/kinds/socket.h"
#include "bpf/records.h"
#include "kinds/inet.h"
#include "kinds/objects.h"
#include "kinds/policy.h"
#include "kinds/socket.h"

namespace bpfckpt::kinds {

extern const Kind kTcp;

namespace {

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
  all.reserve(static_cast<std::size_t>(model.files.files_size()));
  std::unordered_map<std::string, std::uint32_t> by_options;
  std::unordered_set<std::string> by_tuple;
  for (pb::File& file : *model.files.mutable_files()) {
    if (!is_tcp(file)) continue;
    TRY_ASSIGN(pb::Tcp tcp, tcp_of(file));
    const std::string key = fmt::format("{} ", tcp.common().family()) + tcp.option_words();
    const auto [like, fresh] = by_options.try_emplace(key, file.id());
    if (!fresh) tcp.set_options_like(like->second);
    tcp.clear_option_words();
    if (is_connection(tcp)) by_tuple.insert(own_ends(tcp));
    all.push_back({&file, std::move(tcp)});
  }
  for (One& one : all) {
    one.tcp.set_peer_outside(is_connection(one.tcp) && !by_tuple.contains(other_ends(one.tcp)));
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
  // Put together only where it is told: this is asked with the tree stopped.
  const auto name = [&] { return name_of(tcp); };
  if (tcp.multipath())
    return unsupported("tcp-mptcp", fmt::format("{} is a subflow of an MPTCP connection", name()));
  if (tcp.has_ulp())
    return unsupported("tcp-ulp",
                       fmt::format("{} has a protocol on top of it in the kernel (TCP_ULP: kTLS)", name()));
  if (tcp.is_signed())
    return unsupported("tcp-signed",
                       fmt::format("{} signs its packets (TCP_MD5SIG, TCP_AO); keys cannot be read", name()));
  if (tcp.in_repair())
    return unsupported(
        "tcp-repair", fmt::format("{} is in repair mode (TCP_REPAIR): somebody else takes it apart", name()));
  if (tcp.fast_open() || tcp.state() == kTcpSynReceived)
    return unsupported("tcp-fast-open",
                       fmt::format("{} is in the middle of a handshake that the other end began", name()));
  if (tcp.urgent())
    return unsupported("tcp-urgent", fmt::format("{} has an urgent byte unread (MSG_OOB)", name()));
  if (is_connection(tcp) && !tcp.taken_closed() && tcp.common().error() != 0)
    return unsupported("tcp-error", fmt::format("{} has an error that nobody has read (SO_ERROR {})", name(),
                                                tcp.common().error()));
  if (was_connection(tcp) && tcp.common().error() != 0 && tcp.common().error() != ECONNRESET)
    return unsupported("tcp-error", fmt::format("{} ended with an error that nobody has read (SO_ERROR {})",
                                                name(), tcp.common().error()));
  // An option helps only where nothing of the above stands in the way.
  if (tcp.unaccepted() != 0 && !policy.skip_in_flight)
    return {Verdict::NeedsOption, "tcp-in-flight",
            fmt::format("{} connections to {} are not accepted yet; they would be lost", tcp.unaccepted(),
                        name()),
            "--skip-in-flight"};
  if (is_connection(tcp) && !policy.tcp_established && !policy.tcp_close)
    return {Verdict::NeedsOption, "tcp-established",
            fmt::format("a TCP connection ({}): {}", tcp_state_name(tcp.state()), name()),
            "--tcp-established or --tcp-close"};
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

std::string own_ends(const pb::Tcp& tcp) {
  const pb::InetSocket& inet = tcp.inet();
  return tuple(inet.local_address(), inet.local_port(), inet.remote_address(), inet.remote_port());
}

std::string other_ends(const pb::Tcp& tcp) {
  const pb::InetSocket& inet = tcp.inet();
  return tuple(inet.remote_address(), inet.remote_port(), inet.local_address(), inet.local_port());
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

void take_as_closed(pb::Tcp& tcp) {
  tcp.set_taken_closed(true);
  tcp.set_peer_outside(false);
  tcp.mutable_common()->set_error(ECONNRESET);
  tcp.mutable_connection()->clear_unread();
  tcp.mutable_connection()->clear_unacknowledged();
}

bool is_tied_to_descriptors(const pb::File& file) {
  if (!is_tcp(file)) return false;
  auto tcp = tcp_of(file);
  return tcp && is_tied_to_descriptors(*tcp);
}

bool is_tied_to_descriptors(const pb::Tcp& tcp) {
  return is_connection(tcp) || was_connection(tcp) || tcp.state() == kTcpSynSent;
}

std::uint32_t unread_end(const pb::TcpConnection& connection) {
  return connection.received() - (connection.fin_received() ? 1 : 0);
}

std::uint32_t written_end(const pb::TcpConnection& connection) {
  return connection.written() - (connection.fin_written() ? 1 : 0);
}

std::uint32_t sent_bytes(const pb::Tcp& tcp) {
  const pb::TcpConnection& connection = tcp.connection();
  // Our FIN has to be in the queue, behind all of it, before the other end's is received.
  if (tcp.state() == kTcpClosing) return static_cast<std::uint32_t>(connection.unacknowledged().size());
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
    .plan = plan_tcp,
    .diagnose = diagnose,
    .settle = settle,
};

}  // namespace bpfckpt::kinds
