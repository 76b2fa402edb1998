// SPDX-License-Identifier: Apache-2.0
// How unix sockets are made again.
//
// Most of what a unix socket is came from a call that another socket had a part in: socketpair(2), connect(2)
// to a listener, whose name the accepted end then has, or a message, whose sender is told to the receiver. So
// all sockets that hang together are made in one go, by the same calls, in an order in which each is
// possible:
//   sockets and pairs; names; listening; connections, each accepted at once; messages; datagram sockets
//   connected (nobody else may send to one that is, net/unix/af_unix.c:unix_may_send()); connections that
//   stay unaccepted; what is shut down, closed, or an option that would have been in the way.
// Who calls socketpair(), listen() or connect() is told to the other end (SO_PEERCRED): those calls are made
// by the process of that number, for the moment with the ids that it had.
//
// Ends that are gone exist here for a while, to leave behind what they did: names, messages, a reset.
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kinds/objects.h"
#include "kinds/socket.h"
#include "kinds/unix_group.h"

namespace bpfckpt::kinds {

Result<void> UnixGroup::run() {
  TRY(read());
  plan_.phase("unix sockets");
  TRY(find_connections());
  make_sockets();
  take_pairs();
  TRY(give_names());
  listen();
  connect_through_listeners();
  plan_.phase("unix messages");
  raise_buffers();
  for (Node& node : nodes_)
    if (!node.given) TRY(send_messages(node));
  TRY(connect_datagrams());
  TRY(connect_pending());
  plan_.phase("unix sockets done");
  finish();
  plan_.about(0);
  plan_.phase("files");
  return {};
}

Result<void> UnixGroup::read() {
  for (Node& node : nodes_) {
    TRY_ASSIGN(node.socket, unpack_unix(*node.file), "file {}", node.id());
    by_id_.emplace(node.id(), &node);
    if (const Operand* fd = plan_.file(node.id())) {
      node.given = true;
      node.fd = *fd;
    }
  }
  return {};
}

Result<UnixGroup::Node*> UnixGroup::at(std::uint32_t id) {
  if (id == 0) return nullptr;
  auto it = by_id_.find(id);
  if (it == by_id_.end()) return bad(fmt::format("file {} is no unix socket", id));
  return it->second;
}

Result<void> UnixGroup::find_connections() {
  for (Node& node : nodes_) {
    if (node.given || node.socket.listening()) continue;
    TRY_ASSIGN(Node * peer, at(node.socket.peer_file_id()));
    if (peer != nullptr && peer->type() != node.type()) return bad("ends of different types");
    if (peer == &node && node.type() != SOCK_DGRAM) return bad("it is its own other end");
    // An end that the caller gives is connected to something else.
    if (peer != nullptr && peer->given) continue;
    if (node.type() == SOCK_DGRAM)
      TRY(find_datagram_pair(node, peer));
    else
      TRY(find_connection(node, peer));
  }
  return {};
}

Result<void> UnixGroup::find_connection(Node& node, Node* peer) {
  if (peer == nullptr && !node.socket.peer_gone()) return {};
  if (peer != nullptr && peer->socket.peer_file_id() != node.id()) return bad("its other end is another's");
  if (node.partner != nullptr || node.has_gone) return {};  // seen from the other side
  node.partner = peer;
  if (peer != nullptr)
    peer->partner = &node;
  else
    node.has_gone = true;
  const bool gone_server = peer == nullptr && !node.inherits_name() && !node.socket.peer_name().empty();
  if (node.inherits_name()) return add_connection(&node, peer, node.socket, node.socket.peer_name());
  if (peer != nullptr && peer->inherits_name()) return add_connection(peer, &node, peer->socket, "");
  if (gone_server) {
    pb::UnixSocket server = node.socket;
    server.set_name(node.socket.peer_name());
    server.clear_listener_file_id();
    return add_connection(nullptr, &node, server, "");
  }
  add_pair(node);
  return {};
}

Result<void> UnixGroup::add_connection(Node* server, Node* client, const pb::UnixSocket& named,
                                       const std::string& client_name) {
  Connection connection{.server = server, .client = client};
  if (server != nullptr) connection.who = server->socket.common().peer();
  TRY_ASSIGN(connection.listener, at(named.listener_file_id()));
  if (connection.listener != nullptr && connection.listener->given) connection.listener = nullptr;
  if (connection.listener != nullptr &&
      (!connection.listener->socket.listening() || connection.listener->type() != named.common().type()))
    return bad("it was accepted from what does not listen");
  if (connection.listener == nullptr)
    connection.stand_in = stand_in_for(named.name(), named.common().type(),
                                       client != nullptr ? client->socket.common().peer() : connection.who);
  if (client == nullptr) {
    connection.client_fd = temporary(named.common().type());
    server->gone = connection.client_fd;
    if (!client_name.empty()) names_.add({connection.client_fd, client_name, false});
  }
  connections_.push_back(std::move(connection));
  return {};
}

std::size_t UnixGroup::stand_in_for(const std::string& name, std::uint32_t type,
                                    const pb::PeerCredentials& who) {
  for (std::size_t i = 0; i < stand_ins_.size(); i++)
    if (stand_ins_[i].name == name && stand_ins_[i].type == type && same_caller(stand_ins_[i].who, who))
      return i;
  stand_ins_.push_back({name, type, who, temporary(type), {}});
  return stand_ins_.size() - 1;
}

Result<void> UnixGroup::find_datagram_pair(Node& node, Node* peer) {
  if (node.paired) return {};
  if (peer == nullptr) {
    // One that has a name may have messages of others, and is connected when it has them.
    if (!node.socket.peer_gone()) return {};
    const bool of_others = std::ranges::any_of(node.socket.messages(), [&](const pb::UnixMessage& message) {
      return message.sender_file_id() != 0 || message.sender_name() != node.socket.peer_name();
    });
    if (of_others && node.socket.bound()) return {};
    node.has_gone = true;
    add_pair(node);
    return {};
  }
  const bool mutual = peer->socket.peer_file_id() == node.id();
  if (peer->socket.bound() && (!mutual || node.socket.bound())) return {};  // by name
  if (peer->paired || peer == &node) return bad("two are connected to what has no name");
  node.partner = peer;
  peer->partner = &node;
  peer->paired = true;
  add_pair(node);
  return {};
}

void UnixGroup::add_pair(Node& node) {
  node.paired = true;
  pairs_.push_back(&node);
}

Operand UnixGroup::temporary(std::uint32_t type) {
  OpId fd = plan_.call(kSelf, SYS_socket, {AF_UNIX, type | SOCK_CLOEXEC, 0}, "an end that is gone");
  temporary_.push_back(Operand::result(fd));
  return temporary_.back();
}

void UnixGroup::finish() {
  for (Node& node : nodes_) {
    if (node.given) continue;
    plan_.about(node.id());
    if (node.socket.has_outside()) {
      const Address address = names_.address(kSelf, node.socket.peer_name(), {});
      plan_.call(kSelf, SYS_connect, {node.fd, Operand::data(address.block), address.bytes},
                 "outside of the tree");
    }
    // Closing an end with unread data resets the connection (net/unix/af_unix.c:unix_release_sock()).
    if (node.has_gone && node.type() != SOCK_DGRAM && node.socket.common().error() == ECONNRESET)
      plan_.call(kSelf, SYS_write, {node.fd, Operand::data(plan_.zeroes(1)), 1}, "never read");
  }
  for (const Operand& fd : temporary_) drop(fd);
  names_.remove_hidden();
  for (Node& node : nodes_) {
    plan_.about(node.id());
    if (!node.given) finish_one(node);
    plan_.set_file(node.id(), node.fd);
  }
}

void UnixGroup::finish_one(const Node& node) {
  const pb::Socket& common = node.socket.common();
  // A connection whose other end is gone is shut down by that.
  const bool by_closing = node.has_gone && node.type() != SOCK_DGRAM;
  if (common.shutdown() != 0 && !by_closing)
    plan_.call(kSelf, SYS_shutdown, {node.fd, common.shutdown() - 1}, "unix");
  if (needed_.contains(&node)) {
    set_int(node.fd, SO_SNDBUFFORCE, static_cast<std::int32_t>(common.send_buffer() / 2));
    set_int(node.fd, SO_BUF_LOCK, static_cast<std::int32_t>(common.buffer_locks()));
  }
  if (!filled_.contains(&node)) plan_socket_options(plan_, node.fd, common, OptionTime::Filled);
}

void UnixGroup::drop(Operand fd) {
  if (dropped_.emplace(fd.type, fd.index, fd.value).second) plan_.call(kSelf, SYS_close, {fd});
}

Result<void> make_unix_group(PlanBuilder& plan, std::span<const pb::File* const> files) {
  return UnixGroup(plan, files).run();
}

}  // namespace bpfckpt::kinds
