// SPDX-License-Identifier: Apache-2.0
// Unix sockets made again: what is in their queues, and then to whom datagram sockets are connected.
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <cstring>

#include "kinds/objects.h"
#include "kinds/unix_group.h"

namespace bpfckpt::kinds {

void UnixGroup::raise_buffers() {
  for (Node& node : nodes_)
    for (const pb::UnixMessage& message : node.socket.messages())
      needed_[sender_of(node, message)] += cost(message);
  for (Node& node : nodes_)
    for (const pb::UnixPending& pending : node.socket.pending())
      for (const pb::UnixMessage& message : pending.messages()) {
        auto client = by_id_.find(pending.client_file_id());
        if (client != by_id_.end()) needed_[client->second] += cost(message);
      }
  needed_.erase(nullptr);
  std::erase_if(needed_, [](const auto& need) {
    return need.first->given || need.second <= need.first->socket.common().send_buffer();
  });
  const std::uint32_t usual = plan_.environment().socket_buffers().send;
  for (const Node& node : nodes_) {
    std::uint64_t bytes = 0;
    for (const pb::UnixMessage& message : node.socket.messages()) bytes += cost(message);
    if (node.has_gone && bytes > usual) set_int(node.gone, SO_SNDBUFFORCE, half_of(bytes));
  }
  for (Node& node : nodes_)
    if (auto it = needed_.find(&node); it != needed_.end()) {
      plan_.about(node.id());
      set_int(node.fd, SO_SNDBUFFORCE, half_of(it->second));
    }
}

UnixGroup::Node* UnixGroup::sender_of(const Node& receiver, const pb::UnixMessage& message) {
  if (receiver.type() != SOCK_DGRAM) return receiver.partner;
  auto it = by_id_.find(message.sender_file_id());
  return it == by_id_.end() ? nullptr : it->second;
}

void UnixGroup::set_int(Operand fd, std::uint32_t option, std::int32_t value) {
  plan_.call(kSelf, SYS_setsockopt, {fd, SOL_SOCKET, option, Operand::data(plan_.bytes_of(value)), 4},
             "buffer");
}

Result<void> UnixGroup::send_messages(Node& node) {
  std::map<std::string, Operand> gone;  // senders, by name
  for (const pb::UnixMessage& message : node.socket.messages()) {
    plan_.about(node.id());
    TRY_ASSIGN(Node * sender, at(message.sender_file_id()));
    const bool by_partner = node.type() != SOCK_DGRAM || (sender != nullptr && sender == node.partner) ||
                            (sender == nullptr && node.has_gone && node.paired);
    if (by_partner) {
      if (node.partner == nullptr && !node.has_gone) return bad("messages of nobody");
      TRY(send(node.partner != nullptr ? node.partner->fd : node.gone, message, nullptr));
      continue;
    }
    if (!node.socket.bound()) return bad("messages to what has no name");
    Operand from;
    if (sender != nullptr) {
      if (sender->given || sender->type() != SOCK_DGRAM) return bad("messages of a socket of another type");
      from = sender->fd;
    } else if (auto it = gone.find(message.sender_name()); it != gone.end()) {
      from = it->second;
    } else {
      from = temporary(SOCK_DGRAM);
      if (!message.sender_name().empty()) {
        names_.add({from, message.sender_name(), false, true});
        names_.plan();
        plan_.phase("unix messages");
      }
      gone.emplace(message.sender_name(), from);
    }
    const Target target = target_of(node);
    TRY(send(from, message, &target));
  }
  names_.forget_place(kSelf);
  return {};
}

Result<void> UnixGroup::send(Operand fd, const pb::UnixMessage& message, const Target* target) {
  std::optional<Address> address;
  if (target != nullptr) address = names_.address(kSelf, target->name, target->place);
  msghdr header{};
  iovec part{nullptr, message.data().size()};
  DataId parts = plan_.bytes_of(part);
  if (!message.data().empty())
    plan_.fix(parts, offsetof(iovec, iov_base), 8,
              Operand::data(plan_.data(std::as_bytes(std::span(message.data())))));
  header.msg_iovlen = 1;
  if (address) header.msg_namelen = static_cast<socklen_t>(address->bytes);
  TRY_ASSIGN(std::optional<DataId> control, control_of(message));
  if (control) header.msg_controllen = plan_.plan().data[*control].bytes.size();
  DataId block = plan_.bytes_of(header);
  plan_.fix(block, offsetof(msghdr, msg_iov), 8, Operand::data(parts));
  if (address) plan_.fix(block, offsetof(msghdr, msg_name), 8, Operand::data(address->block));
  if (control) plan_.fix(block, offsetof(msghdr, msg_control), 8, Operand::data(*control));
  const int flags = MSG_DONTWAIT | MSG_NOSIGNAL | (message.out_of_band() ? MSG_OOB : 0);
  plan_.call_expecting(kSelf, message.data().size(), SYS_sendmsg, {fd, Operand::data(block), flags},
                       "message");
  return {};
}

Result<std::optional<DataId>> UnixGroup::control_of(const pb::UnixMessage& message) {
  const std::size_t files = static_cast<std::size_t>(message.file_ids_size());
  const std::size_t rights = files == 0 ? 0 : CMSG_SPACE(files * sizeof(int));
  const std::size_t credentials = message.has_credentials() ? CMSG_SPACE(sizeof(ucred)) : 0;
  if (rights + credentials == 0) return std::nullopt;
  std::vector<std::byte> bytes(rights + credentials);
  auto put = [&](std::size_t at, int type, std::size_t len) {
    cmsghdr head{};
    head.cmsg_len = CMSG_LEN(len);
    head.cmsg_level = SOL_SOCKET;
    head.cmsg_type = type;
    std::memcpy(bytes.data() + at, &head, sizeof head);
  };
  if (files != 0) put(0, SCM_RIGHTS, files * sizeof(int));
  if (credentials != 0) {
    put(rights, SCM_CREDENTIALS, sizeof(ucred));
    const pb::UnixCredentials& from = message.credentials();
    // The number has to be somebody's (net/core/scm.c:__scm_send()).
    const bool there = plan_.index().process(from.pid()) != nullptr;
    const ucred who{static_cast<pid_t>(there ? from.pid() : plan_.plan().root), from.uid(), from.gid()};
    std::memcpy(bytes.data() + rights + CMSG_LEN(0), &who, sizeof who);
  }
  DataId block = plan_.data(bytes);
  for (std::size_t i = 0; i < files; i++) {
    const std::uint32_t id = message.file_ids(static_cast<int>(i));
    const Operand* fd = plan_.file(id);
    if (auto it = by_id_.find(id); it != by_id_.end()) fd = &it->second->fd;
    if (fd == nullptr) return bad(fmt::format("file {} in flight was not made", id));
    plan_.fix(block, CMSG_LEN(0) + i * sizeof(int), sizeof(int), *fd);
  }
  return block;
}

Result<void> UnixGroup::connect_datagrams() {
  std::unordered_map<const Node*, std::vector<Node*>> followers;  // by whom they are connected to
  for (Node& node : nodes_) {
    if (node.type() != SOCK_DGRAM || node.given) continue;
    TRY_ASSIGN(Node * peer, at(node.socket.peer_file_id()));
    if (peer != nullptr) followers[peer].push_back(&node);
  }
  std::set<const Node*> done;
  for (Node& node : nodes_)
    if (node.type() == SOCK_DGRAM && !node.given) connect_datagram(node, followers, done);
  names_.forget_place(kSelf);
  return {};
}

void UnixGroup::connect_datagram(Node& node, std::unordered_map<const Node*, std::vector<Node*>>& followers,
                                 std::set<const Node*>& done) {
  std::vector<Node*> chain{&node};
  while (!chain.empty()) {
    Node* now = chain.back();
    Node* next = nullptr;
    if (!done.contains(now))
      for (Node* follower : followers[now])
        if (!done.contains(follower) && std::ranges::find(chain, follower) == chain.end()) next = follower;
    if (next != nullptr) {
      chain.push_back(next);
      continue;
    }
    chain.pop_back();
    if (done.insert(now).second) connect_one(*now);
  }
}

void UnixGroup::connect_one(Node& node) {
  plan_.about(node.id());
  const auto peer = by_id_.find(node.socket.peer_file_id());
  if (peer != by_id_.end()) {
    if (node.partner == peer->second || peer->second->given) return;
    connect(kSelf, node.fd, target_of(*peer->second));
  } else if (node.socket.peer_gone()) {
    if (node.has_gone) return;
    connect_to_gone(node);
  } else if (node.paired && !node.socket.has_outside()) {
    const DataId nobody = plan_.bytes_of(sa_family_t{AF_UNSPEC});
    plan_.call(kSelf, SYS_connect, {node.fd, Operand::data(nobody), sizeof(sa_family_t)}, "to nobody");
  }
}

void UnixGroup::connect_to_gone(const Node& node) {
  const Operand gone = temporary(SOCK_DGRAM);
  if (const std::string& name = node.socket.peer_name(); !name.empty()) {
    std::optional<Operand> place;
    names_.add({gone, name, true}, [&](Operand at) { place = at; });
    names_.plan();
    return connect(kSelf, node.fd, {name, place});
  }
  const DataId unnamed = plan_.bytes_of(sa_family_t{AF_UNIX});
  plan_.call(kSelf, SYS_bind, {gone, Operand::data(unnamed), sizeof(sa_family_t)}, "any name");
  const DataId name = plan_.zeroes(sizeof(sockaddr_un)),
               bytes = plan_.bytes_of(std::uint32_t{sizeof(sockaddr_un)});
  plan_.call(kSelf, SYS_getsockname, {gone, Operand::data(name), Operand::data(bytes)});
  plan_.call(kSelf, SYS_connect, {node.fd, Operand::data(name), Operand::field(bytes)}, "unix");
}

}  // namespace bpfckpt::kinds
