// SPDX-License-Identifier: Apache-2.0
#include "collect/in_flight.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "bpf/kinds/unix_queue.h"
#include "collect/reader.h"
#include "kinds/unix_peek.h"

namespace bpfckpt::collect {
namespace {

// The pointers that trail a message.
std::vector<std::uint64_t> files_of(const record_head& head) {
  auto message = head.type == RECORD_UNIX_ITEM ? as<unix_message_record>(head) : nullptr;
  if (message == nullptr || message->what != UNIX_ITEM_MESSAGE || message->files == 0) return {};
  const std::size_t data_bytes = (message->data_bytes + 7) & ~std::size_t{7};
  const std::span bytes(reinterpret_cast<const std::byte*>(message + 1), head.length - sizeof *message);
  std::vector<std::uint64_t> files(message->files);
  if (data_bytes > bytes.size() || files.size() * 8 > bytes.size() - data_bytes) return {};
  std::memcpy(files.data(), bytes.data() + data_bytes, files.size() * 8);
  return files;
}

}  // namespace

void InFlight::know(const record_head& head) {
  auto file = head.type == RECORD_FILE ? as<file_record>(head) : nullptr;
  if (file == nullptr) return;
  known_.insert(file->file);
  if (file->walk == WALK_UNIX && file->fd >= 0)
    holders_.try_emplace(file->list, Holder{static_cast<pid_t>(file->tgid), file->fd});
}

Result<void> InFlight::know_files() {
  if (std::exchange(know_files_, true)) return {};
  return records_.for_each([&](const record_head& head) -> Result<void> {
    know(head);
    return {};
  });
}

Result<void> InFlight::find_wanted(std::size_t from_bytes) {
  return records_.for_each_from(from_bytes, [&](const record_head& head) -> Result<void> {
    bool fresh = false;
    for (const std::uint64_t file : files_of(head)) {
      TRY(know_files());
      if (!known_.contains(file)) fresh |= wanted_.insert(file).second;
    }
    if (fresh) sockets_.push_back(as<item_head>(head)->list);
    return {};
  });
}

Result<void> InFlight::look_into(std::uint64_t sock) {
  auto it = holders_.find(sock);
  if (it == holders_.end()) return {};  // of a connection that nobody has accepted
  Fd borrowed;
  int fd = it->second.fd;
  if (it->second.pid != 0) {
    Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, it->second.pid, 0)));
    if (!pidfd) return fail(Error::system("pidfd_open"));
    borrowed.reset(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd.get(), fd, 0)));
    if (!borrowed) return fail(Error::system("pidfd_getfd"));
    fd = borrowed.get();
  }
  TRY_ASSIGN(std::vector<Fd> files, kinds::peek_rights(fd));
  for (Fd& file : files) ours_.push_back(std::move(file));
  return {};
}

Result<void> InFlight::take(std::size_t from_bytes) {
  TRY(find_wanted(from_bytes));
  if (sockets_.empty()) return {};
  for (const std::uint64_t sock : std::exchange(sockets_, {})) TRY(look_into(sock));
  Records own;
  TRY_ASSIGN(const Fd link, make_link(programs_.fd(Program::DumpFiles), Scope::thread(::getpid())));
  TRY(read_all(link.get(), own));
  bool taken = false;  // the last file; messages that wait at it come with it
  return own.for_each([&](const record_head& head) -> Result<void> {
    if (head.type == RECORD_UNIX_ITEM && taken) TRY(records_.append(head));
    auto file = head.type == RECORD_FILE ? as<file_record>(head) : nullptr;
    taken = file != nullptr && wanted_.erase(file->file) != 0;
    if (!taken) return {};
    known_.insert(file->file);
    if (file->walk == WALK_UNIX) holders_.try_emplace(file->list, Holder{0, file->fd});
    TRY_ASSIGN(record_head * copied, records_.append(head));
    auto& record = reinterpret_cast<file_record&>(*copied);
    record.fd = kInFlight;
    record.table = 0;
    record.flags &= ~static_cast<std::uint32_t>(FILE_CLOEXEC);
    return {};
  });
}

}  // namespace bpfckpt::collect
