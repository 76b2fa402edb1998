// SPDX-License-Identifier: Apache-2.0
// How a TCP socket is made again (kinds/tcp.cc has what it is). What needs the whole tree, and may send
// packets, follows in restore/connections.cc.
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>

#include "kinds/inet.h"
#include "kinds/socket.h"
#include "kinds/tcp.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::uint32_t kMostQueueBytes = 1U << 30;
// As large as one send(2) into the receive queue may be (net/ipv4/tcp_input.c:tcp_send_rcvq(), MAX_SKB_FRAGS
// pages at least).
constexpr std::uint32_t kChunkBytes = 64 << 10;
constexpr std::uint32_t kDiscardPort = 9;
// include/net/tcp.h: TCP_MIN_MSS, MAX_TCP_WINDOW: what TCP_MAXSEG takes.
constexpr std::uint32_t kSmallestSegment = 88, kLargestSegment = 32767;

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
  void window_clamp();
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
  // On newer kernels the size of the receive buffer, which is always set, sets it, too (net/ipv4/tcp.c:
  // tcp_set_rcvbuf()); what a listener accepts would have it.
  set_tcp(TCP_WINDOW_CLAMP, static_cast<int>(tcp_.window_clamp()), "window clamp");
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

// Of a connection it grows with the buffer, unless somebody wants it small.
void SocketPlan::window_clamp() {
  if (tcp_.window_clamp() != 0) set_tcp(TCP_WINDOW_CLAMP, static_cast<int>(tcp_.window_clamp()));
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
  // What once had room may be packed less densely now.
  const bool tight = unread > tcp_.common().receive_buffer() / 8 || sent > tcp_.common().send_buffer() / 8;
  if (tight)
    buffers(buffer_with_room(tcp_.common().receive_buffer(), unread),
            buffer_with_room(tcp_.common().send_buffer(), sent));
  if (unread != 0) {
    set_queue(kReceiveQueue);
    TRY(fill(connection.unread(), unread));
  }
  if (sent != 0) {
    set_queue(kSendQueue);
    TRY(fill(connection.unacknowledged(), sent));
  }
  set_queue(kNoQueue);
  window();
  if (tight) {
    buffers(tcp_.common().receive_buffer(), tcp_.common().send_buffer());
    plan_.try_call(
        kSelf, SYS_setsockopt,
        {fd_, SOL_SOCKET, SO_BUF_LOCK, Operand::data(plan_.bytes_of(tcp_.common().buffer_locks())), 4},
        "buffer lock");
  }
  window_clamp();
  return {};
}

Result<void> SocketPlan::run() {
  fd_ = Operand::result(plan_socket(plan_, file_, tcp_.common()));
  plan_inet_options(plan_, fd_, tcp_.common(), options_);
  plan_ipv6_only(plan_, fd_, tcp_.common(), tcp_.inet());
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

}  // namespace

Result<void> plan_tcp(PlanBuilder& plan, const pb::File& file, const pb::FileObject*) {
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

}  // namespace bpfckpt::kinds
