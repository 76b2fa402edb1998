// SPDX-License-Identifier: Apache-2.0
#include "collect/peers.h"

#include <cstring>
#include <span>
#include <unordered_map>
#include <unordered_set>

#include "bpf/kinds/socket.h"
#include "bpf/kinds/unix_queue.h"
#include "collect/reader.h"
#include "kinds/socket.h"

namespace bpfckpt::collect {
namespace {

const socket_record* unix_socket_of(const record_head& head) {
  auto file = head.type == RECORD_FILE ? as<file_record>(head) : nullptr;
  return file != nullptr && file->kind == FILE_KIND_UNIX ? kinds::socket_record_of(*file) : nullptr;
}

// A process of the tree may have made a socket and connected it while we looked: the listener shows it, its
// own descriptors did not yet. That is no client outside of the tree; it counts as one that is gone again.
void forget_new_clients(std::span<const unix_pending_record* const> clients,
                        const std::unordered_set<std::uint64_t>& sockets,
                        const std::unordered_set<std::uint32_t>& processes) {
  for (const unix_pending_record* pending : clients)
    if (!sockets.contains(pending->client) && processes.contains(pending->pid))
      const_cast<unix_pending_record*>(pending)->client_dead = 1;
}

template <class Task>
std::string name_of(const Task& task) {
  return {task.comm, ::strnlen(task.comm, sizeof task.comm)};
}

}  // namespace

void UnixEnds::add(const record_head& head) {
  if (const socket_record* socket = unix_socket_of(head))
    holders_.emplace(socket->sock, as<file_record>(head)->tgid);
  if (auto task = head.type == RECORD_TASK ? as<task_record>(head) : nullptr;
      task != nullptr && (task->flags & TASK_LEADER) != 0)
    names_.emplace(task->tgid, name_of(*task));
  if (auto task = head.type == RECORD_SUMMARY ? as<summary_record>(head) : nullptr;
      task != nullptr && task->tid == task->tgid)
    names_.emplace(task->tgid, name_of(*task));
}

Result<UnixEnds> UnixEnds::read(const Programs& programs) {
  UnixEnds ends;
  for (const Program program : {Program::DumpFiles, Program::ListTasks}) {
    TRY_ASSIGN(const Fd link, make_link(programs.fd(program), Scope::everything()));
    auto add = [&](const record_head& head) -> Result<void> {
      ends.add(head);
      return {};
    };
    TRY(visit_all(link.get(), add, [&] {
      if (program == Program::DumpFiles) ends.forget_holders();
    }));
  }
  return ends;
}

Result<void> find_peers(Records& records, const std::function<Result<const UnixEnds*>()>& ends) {
  std::unordered_multimap<std::uint64_t, std::uint64_t> wanted;  // the other end: who is connected to it
  std::unordered_set<std::uint64_t> sockets, files;
  std::unordered_set<std::uint32_t> tree, with_sockets;
  std::vector<const unix_pending_record*> clients;
  TRY(records.for_each([&](const record_head& head) -> Result<void> {
    if (auto task = head.type == RECORD_TASK ? as<task_record>(head) : nullptr) tree.insert(task->tgid);
    auto pending = head.type == RECORD_UNIX_ITEM ? as<unix_pending_record>(head) : nullptr;
    if (pending != nullptr && pending->what == UNIX_ITEM_PENDING) clients.push_back(pending);
    const socket_record* socket = unix_socket_of(head);
    if (socket == nullptr) return {};
    sockets.insert(socket->sock);
    with_sockets.insert(as<file_record>(head)->tgid);
    // A file that was closed, and another made in its place, is one file for the model: the first.
    if (!files.insert(as<file_record>(head)->file).second) return {};
    const_cast<socket_record*>(socket)->detail.un.flags |= UNIX_UNSURE;
    if (socket->detail.un.peer != 0 && (socket->detail.un.flags & UNIX_PEER_DEAD) == 0)
      wanted.emplace(socket->detail.un.peer, socket->sock);
    return {};
  }));
  for (const std::uint64_t sock : sockets) wanted.erase(sock);
  forget_new_clients(clients, sockets, with_sockets);
  if (wanted.empty()) return {};

  TRY_ASSIGN(const UnixEnds* known_ends, ends());
  for (const auto& [peer, sock] : wanted) {
    const std::uint32_t holder = known_ends->holder(peer);
    // A process of the tree has made it since its descriptors were read.
    if (holder == 0 || tree.contains(holder)) continue;
    unix_holder_record record{};
    record.head.record = {RECORD_UNIX_ITEM, sizeof record};
    record.head.list = sock;
    record.what = UNIX_ITEM_HOLDER;
    record.pid = holder;
    const std::string_view name = known_ends->name(holder);
    name.copy(record.comm, sizeof record.comm);
    TRY(records.append(record.head.record));
  }
  return {};
}

}  // namespace bpfckpt::collect
