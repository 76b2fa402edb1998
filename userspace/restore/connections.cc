// SPDX-License-Identifier: Apache-2.0
#include "restore/connections.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <algorithm>
#include <ctime>

#include "base/log.h"
#include "kinds/inet.h"
#include "kinds/lock_tuples.h"
#include "kinds/names.h"
#include "kinds/tcp.h"
#include "restore/forged_packet.h"

namespace bpfckpt::restore {
namespace {

constexpr int kArrivalPatienceMs = 5000;

int set(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof value);
}

Result<void> set_or_fail(int fd, int level, int name, int value, const char* what) {
  if (set(fd, level, name, value) != 0) return fail(Error::system(what));
  return {};
}

bool has_reuse(const pb::Tcp& tcp) {
  return std::ranges::any_of(tcp.common().options(), [](const pb::SocketOption& option) {
    return option.level() == SOL_SOCKET && option.name() == SO_REUSEADDR;
  });
}

std::uint8_t state_of(int fd) {
  tcp_info info{};
  socklen_t len = sizeof info;
  return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == 0 ? info.tcpi_state : 0;
}

// Packets over the loopback device are received at once, or as soon as ksoftirqd gets to it.
Result<void> await_state(int fd, std::uint32_t wanted) {
  const timespec nap{0, 100'000};
  for (int i = 0; state_of(fd) != wanted; i++) {
    if (i >= kArrivalPatienceMs * 10)
      return fail(
          Error::conflict(fmt::format("it is {}, and does not get {}: a packet of our own did not arrive "
                                      "(is there a firewall on the loopback device?)",
                                      kinds::tcp_state_name(state_of(fd)), kinds::tcp_state_name(wanted))));
    ::nanosleep(&nap, nullptr);
  }
  return {};
}

// A socket that is bound to another device would not get what comes over the loopback device.
class Unbound {
 public:
  explicit Unbound(int fd) : fd_(fd) {
    socklen_t len = sizeof device_;
    if (::getsockopt(fd, SOL_SOCKET, SO_BINDTOIFINDEX, &device_, &len) == 0 && device_ != 0)
      set(fd, SOL_SOCKET, SO_BINDTOIFINDEX, 0);
  }
  ~Unbound() {
    if (device_ != 0) set(fd_, SOL_SOCKET, SO_BINDTOIFINDEX, device_);
  }

 private:
  int fd_, device_ = 0;
};

bool needs_forgery(const pb::Tcp& tcp) {
  return kinds::was_connection(tcp) || tcp.connection().fin_received() || tcp.state() == kinds::kTcpFinWait2;
}

}  // namespace

Result<void> close_connections(Model& model) {
  for (pb::File& file : *model.files.mutable_files()) {
    if (!kinds::is_tcp(file)) continue;
    TRY_ASSIGN(pb::Tcp tcp, kinds::tcp_of(file));
    if (!kinds::is_connection(tcp)) continue;
    kinds::take_as_closed(tcp);
    kinds::set_tcp(tcp, file);
  }
  return {};
}

Connections::Connections(const image::ImageReader& reader, const std::vector<std::uint32_t>& given)
    : reader_(reader) {
  for (const pb::File& file : reader.model().files.files()) {
    if (!kinds::is_tcp(file) || std::ranges::find(given, file.id()) != given.end()) continue;
    auto tcp = kinds::tcp_of(file);
    if (!tcp) {
      unread_ = fail(std::move(tcp.error()));
      return;
    }
    if (kinds::is_tied_to_descriptors(*tcp)) connections_.push_back({&file, std::move(*tcp)});
  }
  if (connections_.empty()) return;
  for (const pb::Process& process : reader.model().tasks.processes()) {
    const pb::FdTable* table = reader.index().fd_table(process.fd_table_id());
    if (process.state() == pb::ZOMBIE || table == nullptr) continue;
    for (const pb::FdEntry& entry : table->entries())
      places_.try_emplace(entry.file_id(), Place{process.pid(), entry.fd()});
  }
}

Result<void> Connections::lock(std::uint64_t lock_id) {
  TRY(std::move(unread_));
  kinds::LockTuples locked;
  for (const One& one : connections_)
    if (kinds::is_connection(one.tcp) && !one.tcp.taken_closed()) locked.add(one.tcp.inet());
  const std::vector<lock_connection> tuples = locked.take();
  if (lock_id != 0) {
    auto kept = kernel::NetworkLock::open(lock_id);
    if (kept) {
      lock_ = std::move(*kept);
    } else {
      log::info("the network lock of the dump is not on this machine ({})", kept.error().message());
    }
  }
  if (tuples.empty()) return {};
  if (lock_) {
    TRY(lock_->add(tuples), "network lock");
    TRY(lock_->hold(), "network lock");
    return {};
  }
  TRY_ASSIGN(lock_, kernel::NetworkLock::attach(tuples.size()), "network lock");
  TRY(lock_->add(tuples), "network lock");
  TRY(lock_->renew(), "network lock");
  return {};
}

Result<Fd> Connections::fetch(const One& one) {
  auto place = places_.find(one.file->id());
  if (place == places_.end()) return fail(Error::bad_image("nobody has it"));
  Fd& pidfd = pidfds_[place->second.pid];
  if (!pidfd) pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, place->second.pid, 0)));
  if (!pidfd)
    pidfd.reset(static_cast<int>(::syscall(SYS_pidfd_open, place->second.pid, O_EXCL)));  // PIDFD_THREAD
  if (!pidfd) return fail(Error::system(fmt::format("pidfd_open({})", place->second.pid)));
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), place->second.fd, 0)));
  if (!fd) return fail(Error::system("pidfd_getfd"));
  return fd;
}

// What the other end did to it, as far as the program could see.
Result<void> Connections::close_as_other_end(const One& one) {
  TRY_ASSIGN(const Fd fd, fetch(one));
  const pb::TcpConnection& connection = one.tcp.connection();
  const std::uint32_t received = kinds::unread_end(connection), state = one.tcp.state();
  PacketForger forger;
  {
    const Unbound unbound(fd.get());
    if (kinds::was_connection(one.tcp)) {
      TRY(forger.send(fd.get(), PacketForger::kReset | PacketForger::kAck, received,
                      kinds::written_end(connection)));
      TRY(await_state(fd.get(), kinds::kTcpClose));
    } else {
      const bool first_ours = state == kinds::kTcpFinWait2 || state == kinds::kTcpClosing;
      if (first_ours) {
        TRY(set_or_fail(fd.get(), IPPROTO_TCP, TCP_REPAIR_QUEUE, kinds::kSendQueue, "TCP_REPAIR_QUEUE"));
        if (::shutdown(fd.get(), SHUT_WR) != 0) return fail(Error::system("shutdown"));
        TRY(set_or_fail(fd.get(), IPPROTO_TCP, TCP_REPAIR_QUEUE, kinds::kNoQueue, "TCP_REPAIR_QUEUE"));
      }
      if (state == kinds::kTcpFinWait2)
        TRY(forger.send(fd.get(), PacketForger::kAck, received, connection.written()));
      else
        TRY(forger.send(fd.get(), PacketForger::kFin | PacketForger::kAck, received,
                        connection.acknowledged()));
      TRY(await_state(fd.get(), first_ours ? state : kinds::kTcpCloseWait));
    }
  }
  if (kinds::was_connection(one.tcp)) {
    TRY(set_or_fail(fd.get(), IPPROTO_TCP, TCP_REPAIR, kinds::kRepairOffQuietly, "TCP_REPAIR"));
    if (has_reuse(one.tcp)) set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
    int error = 0;
    socklen_t len = sizeof error;
    if (one.tcp.common().error() == 0) ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &len);
    return {};
  }
  if (!connection.fin_received()) return {};
  // Now that the FIN is counted, the window can be what it was.
  const struct {
    std::uint32_t segment, send, max, receive, update;
  } window{connection.window_segment(), connection.send_window(),
           std::max(connection.max_window(), connection.send_window()), connection.receive_window(),
           connection.window_update()};
  if (::setsockopt(fd.get(), IPPROTO_TCP, TCP_REPAIR_WINDOW, &window, sizeof window) != 0)
    return fail(Error::system("TCP_REPAIR_WINDOW"));
  return {};
}

Result<void> Connections::connect(const One& one, int fd) {
  const pb::InetSocket& inet = one.tcp.inet();
  const auto to = kinds::socket_address(one.tcp.common().family(), inet.remote_address(), inet.remote_port(),
                                        inet.scope());
  const int flags = ::fcntl(fd, F_GETFL);
  ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  const int result = ::connect(fd, reinterpret_cast<const sockaddr*>(&to.storage), to.len_bytes);
  const int error = errno;
  ::fcntl(fd, F_SETFL, flags);
  if (result != 0 && error != EINPROGRESS) return fail(Error::system("connect", error));
  return {};
}

// What the program has written and the kernel has not sent.
Result<void> Connections::send_rest(const One& one, int fd) {
  const pb::Content& content = one.tcp.connection().unacknowledged();
  const std::uint32_t sent = kinds::sent_bytes(one.tcp);
  if (content.size() > sent) {
    Fd& image = images_[content.image()];
    if (!image) {
      TRY_ASSIGN(image, reader_.open_raw(content.image()));
    }
    set(fd, SOL_SOCKET, SO_SNDBUFFORCE,
        static_cast<int>(kinds::buffer_with_room(one.tcp.common().send_buffer(), content.size()) / 2));
    std::vector<char> bytes(std::min<std::size_t>(content.size() - sent, 1 << 20));
    for (std::uint64_t done = sent; done < content.size();) {
      const std::size_t len = std::min<std::size_t>(bytes.size(), content.size() - done);
      if (::pread(image.get(), bytes.data(), len,
                  static_cast<off_t>(content.extents(0).image_offset() + done)) != static_cast<ssize_t>(len))
        return fail(Error::system("read what was not sent", EIO));
      const ssize_t n = ::send(fd, bytes.data(), len, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n <= 0) return fail(Error::system("send"));
      done += static_cast<std::uint64_t>(n);
    }
    set(fd, SOL_SOCKET, SO_SNDBUFFORCE, static_cast<int>(one.tcp.common().send_buffer() / 2));
    set(fd, SOL_SOCKET, SO_BUF_LOCK, static_cast<int>(one.tcp.common().buffer_locks()));
  }
  if (one.tcp.connection().fin_written() && ::shutdown(fd, SHUT_WR) != 0)
    return fail(Error::system("shutdown"));
  return {};
}

Result<void> Connections::switch_on(const One& one) {
  TRY_ASSIGN(const Fd fd, fetch(one));
  if (one.tcp.state() == kinds::kTcpSynSent) return connect(one, fd.get());
  // A window probe makes the other end say what it has, and how much it takes; where both are ours, and all
  // was acknowledged, nothing was missed.
  const bool asks = one.tcp.peer_outside() || one.tcp.connection().unacknowledged().size() != 0;
  const int off = asks ? kinds::kRepairOff : kinds::kRepairOffQuietly;
  TRY(set_or_fail(fd.get(), IPPROTO_TCP, TCP_REPAIR, off, "TCP_REPAIR"));
  if (has_reuse(one.tcp)) set(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  const bool done = one.tcp.state() == kinds::kTcpFinWait2 || one.tcp.state() == kinds::kTcpClosing;
  return done ? Result<void>{} : send_rest(one, fd.get());
}

Result<void> Connections::give_back() {
  for (const One& one : connections_)
    if (needs_forgery(one.tcp)) TRY(close_as_other_end(one), "{}", kinds::describe_name(*one.file));
  if (lock_) {
    TRY(lock_->let_pass(), "network lock");
  }
  for (const One& one : connections_)
    if (!kinds::was_connection(one.tcp)) TRY(switch_on(one), "{}", kinds::describe_name(*one.file));
  if (lock_) {
    TRY(lock_->remove(), "network lock");
    lock_.reset();
  }
  return {};
}

}  // namespace bpfckpt::restore
