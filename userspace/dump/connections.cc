// SPDX-License-Identifier: Apache-2.0
#include "dump/connections.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/log.h"
#include "image/file_io.h"
#include "kinds/names.h"
#include "kinds/socket.h"

namespace bpfckpt::dump {
namespace {

constexpr std::size_t kPendingBytes = 1 << 20;

template <class Visit>
Result<void> for_each_tcp(const Model& model, Visit visit) {
  for (const pb::File& file : model.files.files()) {
    if (!kinds::is_tcp(file)) continue;
    TRY_ASSIGN(const pb::Tcp tcp, kinds::tcp_of(file));
    TRY(visit(file, tcp));
  }
  return {};
}

std::uint32_t unread_bytes(const pb::Tcp& tcp) {
  const pb::TcpConnection& connection = tcp.connection();
  const std::uint32_t bytes = kinds::unread_end(connection) - connection.read();
  return static_cast<std::int32_t>(bytes) > 0 ? bytes : 0;  // the FIN was read as well
}

std::uint32_t unacknowledged_bytes(const pb::Tcp& tcp) {
  const pb::TcpConnection& connection = tcp.connection();
  const std::uint32_t bytes = kinds::written_end(connection) - connection.acknowledged();
  return static_cast<std::int32_t>(bytes) > 0 && tcp.state() != kinds::kTcpClose ? bytes : 0;
}

void set_content(const image::RawImage& image, std::uint64_t offset, std::uint64_t len_bytes,
                 pb::Content& content) {
  content.Clear();
  if (len_bytes == 0) return;
  content.set_image(image.name);
  content.set_size(len_bytes);
  pb::Extent& extent = *content.add_extents();
  extent.set_length(len_bytes);
  extent.set_image_offset(offset);
}

}  // namespace

bool Connections::needs_lock(const pb::Tcp& tcp) const {
  return policy_.network_lock && policy_.tcp_established && kinds::is_connection(tcp);
}

Result<void> Connections::add(const Model& model) {
  TRY(for_each_tcp(model, [&](const pb::File&, const pb::Tcp& tcp) -> Result<void> {
    if (!needs_lock(tcp)) return {};
    locked_.add(tcp.inet());
    while (tcp.peer_outside() && lock_id_ == 0)
      if (::getrandom(&lock_id_, sizeof lock_id_, 0) != sizeof lock_id_)
        return fail(Error::system("getrandom"));
    return {};
  }));
  const std::vector<lock_connection> fresh = locked_.take();
  if (fresh.empty()) return {};
  if (!lock_) {
    TRY_ASSIGN(lock_, kernel::NetworkLock::attach(fresh.size()), "network lock");
    log::info("network lock: {}", kernel::to_string(lock_->method()));
  }
  TRY(lock_->add(fresh));
  if (lock_->method() == kernel::LockMethod::Clsact && !(lock_guardian_ && lock_guardian_->watches(*lock_))) {
    lock_guardian_.reset();
    TRY_ASSIGN(LockGuardian guardian, LockGuardian::start(*lock_), "network lock");
    lock_guardian_.emplace(std::move(guardian));
  }
  return {};
}

Result<void> Connections::prepare(const Model& model) {
  bool any = false;
  TRY(for_each_tcp(model, [&](const pb::File&, const pb::Tcp& tcp) -> Result<void> {
    any |= kinds::is_connection(tcp);
    return {};
  }));
  if (any && policy_.tcp_established) {
    TRY_ASSIGN(RepairGuardian guardian, RepairGuardian::start());
    guardian_.emplace(std::move(guardian));
  }
  return add(model);
}

Result<void> Connections::lock() {
  let_pass_ = false;
  if (!lock_) return {};
  TRY(lock_->renew(), "network lock");
  return {};
}

Result<bool> Connections::lock_new(const Model& model) {
  if (!policy_.network_lock || !policy_.tcp_established) return false;
  const std::size_t before = locked_.size();
  TRY(add(model), "network lock");
  if (locked_.size() == before) return false;
  TRY(lock());
  return true;
}

Result<void> Connections::renew() {
  return lock_ && !let_pass_ ? lock_->renew() : Result<void>{};
}

Result<void> Connections::unlock() {
  let_pass_ = true;
  return lock_ ? lock_->let_pass() : Result<void>{};
}

// MSG_PEEK with an offset would move it.
Result<void> Connections::read_received(pb::Tcp& tcp, const pb::File& file, Borrower& borrower,
                                        const image::RawImage& image) {
  const std::uint32_t wanted = unread_bytes(tcp);
  pb::TcpConnection& connection = *tcp.mutable_connection();
  TRY_ASSIGN(const Fd fd, borrower.borrow(file));
  int there = 1;
  // Where nothing is there, a closed connection would give away its error.
  if (tcp.state() == kinds::kTcpClose && ::ioctl(fd.get(), SIOCINQ, &there) != 0)
    return fail(Error::system("SIOCINQ"));
  std::uint32_t len = 0;
  const std::size_t at = pending_.size();
  if (there > 0) {
    const int off = -1, offset = kinds::int_option(tcp.common().options(), SOL_SOCKET, SO_PEEK_OFF, -1);
    if (offset >= 0) ::setsockopt(fd.get(), SOL_SOCKET, SO_PEEK_OFF, &off, sizeof off);
    pending_.resize(at + wanted);
    const ssize_t n = ::recv(fd.get(), pending_.data() + at, wanted, MSG_PEEK | MSG_DONTWAIT);
    const int error = errno;
    if (offset >= 0) ::setsockopt(fd.get(), SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset);
    if (n < 0 && error != EAGAIN) return fail(Error::system("read what was received", error));
    len = static_cast<std::uint32_t>(std::max<ssize_t>(n, 0));
    pending_.resize(at + len);
  }
  if (len != wanted && tcp.state() != kinds::kTcpClose)
    return fail(Error::system(fmt::format("{} bytes of {} received ones are there", len, wanted), EIO));
  // Of a closed one the numbers end behind a FIN, or do not.
  if (len != wanted) connection.set_received(connection.read() + len);
  set_content(image, written_bytes_, len, *connection.mutable_unread());
  written_bytes_ += len;
  return pending_.size() < kPendingBytes ? Result<void>{} : write_pending(image);
}

Result<void> Connections::write_pending(const image::RawImage& image) {
  TRY(image::write_fully(image.fd, {pending_.data(), pending_.size()}, written_bytes_ - pending_.size()),
      "queues");
  pending_.clear();
  return {};
}

Result<void> Connections::read(Model& model, Borrower& borrower, image::ImageWriter& writer) {
  struct Unsent {
    pb::File* file;
    pb::Tcp tcp;
    std::uint32_t len;
  };
  std::vector<Unsent> unsent;
  image::RawImage image;
  for (pb::File& file : *model.files.mutable_files()) {
    if (!kinds::is_tcp(file)) continue;
    TRY_ASSIGN(pb::Tcp tcp, kinds::tcp_of(file));
    const bool connection = kinds::is_connection(tcp);
    if (connection && policy_.tcp_close && !policy_.tcp_established) {
      kinds::take_as_closed(tcp);
      kinds::set_tcp(tcp, file);
      continue;
    }
    if (!connection && !kinds::was_connection(tcp)) continue;
    const std::uint32_t unread = unread_bytes(tcp), unacknowledged = unacknowledged_bytes(tcp);
    if (unread == 0 && unacknowledged == 0) continue;
    if (image.fd < 0) {
      TRY_ASSIGN(image, writer.create_raw("queues"));
    }
    if (unread != 0) {
      TRY(read_received(tcp, file, borrower, image), "{}", kinds::describe_name(file));
      kinds::set_tcp(tcp, file);
    }
    if (unacknowledged != 0) unsent.push_back({&file, std::move(tcp), unacknowledged});
  }
  TRY(write_pending(image));
  if (unsent.empty()) return {};
  if (!guardian_) {
    TRY_ASSIGN(RepairGuardian guardian, RepairGuardian::start());
    guardian_.emplace(std::move(guardian));
  }
  for (std::size_t begin = 0; begin < unsent.size();) {
    std::size_t count = 0;
    std::uint64_t room = 0;
    for (; begin + count < unsent.size() && count < RepairGuardian::kMostRequests; count++) {
      Unsent& one = unsent[begin + count];
      if (room + one.len > RepairGuardian::kBufferBytes) break;
      TRY_ASSIGN(const Borrower::Place place, borrower.where(*one.file));
      guardian_->requests()[count] = {
          .pid = static_cast<std::int32_t>(place.pid),
          .fd = static_cast<std::int32_t>(place.fd),
          .reuse = kinds::int_option(one.tcp.common().options(), SOL_SOCKET, SO_REUSEADDR, 0),
          .offset = room,
          .room_bytes = one.len};
      room += one.len;
    }
    if (count == 0) return fail(Error::unsupported("a send queue of more than a GiB"));
    TRY(guardian_->read(count));
    for (std::size_t i = 0; i < count; i++) {
      Unsent& one = unsent[begin + i];
      const RepairGuardian::Request& answer = guardian_->requests()[i];
      const std::string name = kinds::describe_name(*one.file);
      if (answer.error != 0) return fail(Error::system(fmt::format("{}: TCP_REPAIR", name), answer.error));
      // Some may have been acknowledged since the numbers were seen: the end stays.
      pb::TcpConnection& connection = *one.tcp.mutable_connection();
      connection.set_acknowledged(kinds::written_end(connection) -
                                  static_cast<std::uint32_t>(answer.len_bytes));
      connection.set_sent(connection.written() - static_cast<std::uint32_t>(answer.unsent));
      TRY(image::write_fully(
              image.fd,
              {reinterpret_cast<const char*>(guardian_->buffer().data()) + answer.offset, answer.len_bytes},
              written_bytes_),
          "queues");
      set_content(image, written_bytes_, answer.len_bytes, *connection.mutable_unacknowledged());
      written_bytes_ += answer.len_bytes;
      kinds::set_tcp(one.tcp, *one.file);
    }
    begin += count;
  }
  return {};
}

Result<void> Connections::keep(const Model& model, Borrower& borrower) {
  guardian_.reset();  // its work is done, and it ends only when nobody has the other end of its pipe
  TRY(for_each_tcp(model, [&](const pb::File& file, const pb::Tcp& tcp) -> Result<void> {
    if (!kinds::is_connection(tcp) && tcp.state() != kinds::kTcpSynSent) return {};
    TRY_ASSIGN(Fd fd, borrower.borrow(file), "{}", kinds::describe_name(file));
    return sockets_.hold(std::move(fd), tcp.taken_closed());
  }));
  TRY(sockets_.finish());
  if (lock_ && lock_id_ != 0) {
    std::vector<pid_t> processes;
    for (const pb::Process& process : model.tasks.processes())
      processes.push_back(static_cast<pid_t>(process.pid()));
    TRY_ASSIGN(LastStep last_step, LastStep::begin(processes, *lock_, lock_id_, sockets_));
    last_step_.emplace(std::move(last_step));
    TRY(lock_->pin(lock_id_), "network lock");
    TRY(lock_->hold(), "network lock");
  }
  kept_ = true;
  return {};
}

Result<void> Connections::commit() {
  return last_step_ ? last_step_->commit() : Result<void>{};
}

void Connections::give_up() {
  if (kept_ || let_pass_) return;
  if (auto passed = unlock(); !passed) log::warn("{}", passed.error().message());
}

void Connections::destroy() {
  if (!last_step_ || !last_step_->end_connections()) sockets_.end();
  last_step_.reset();
}

void Connections::leave() {
  last_step_.reset();
}

void Connections::take_back() {
  kept_ = false;
  if (lock_)
    if (auto removed = lock_->remove(); !removed) log::warn("{}", removed.error().message());
  lock_.reset();
  last_step_.reset();
}

}  // namespace bpfckpt::dump
