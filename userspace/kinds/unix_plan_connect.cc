// SPDX-License-Identifier: Apache-2.0
// Unix sockets made again: the sockets, their names, who listens, and who is connected to whom.
#include <sys/socket.h>
#include <sys/syscall.h>

#include "kinds/socket.h"
#include "kinds/unix_group.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::size_t kConnectsAtOnce = 64;  // fewer than any sane backlog of a listener of ours

}  // namespace

void UnixGroup::make_sockets() {
  std::set<const Node*> accepted;
  for (const Connection& connection : connections_) accepted.insert(connection.server);
  for (Node& node : nodes_) {
    if (node.given || node.paired || accepted.contains(&node)) continue;
    plan_.about(node.id());
    node.fd = Operand::result(plan_socket(plan_, *node.file, node.socket.common()));
  }
  for (Connection& connection : connections_)
    if (connection.client != nullptr) connection.client_fd = connection.client->fd;
  // In the process that made the pair.
  callers_.for_each(
      pairs_, [](const Node* node) { return node->socket.common().peer(); },
      [&](Actor actor, Node* node) {
        plan_.about(node->id());
        DataId ends = plan_.zeroes(8);
        plan_.call(actor, SYS_socketpair, {AF_UNIX, node->type() | SOCK_CLOEXEC, 0, Operand::data(ends)},
                   "socket");
        made_there_.push_back({actor, node, Operand::field(ends, 0), Operand::field(ends, 4)});
      });
}

void UnixGroup::take_pairs() {
  if (made_there_.empty()) return;
  plan_.phase("unix sockets taken");
  for (const MadeThere& made : made_there_) {
    plan_.about(made.node->id());
    const Operand first =
        Operand::result(plan_.op(Op::Code::Fetch, kSelf, {made.actor, made.first}, "socket"));
    const Operand second =
        Operand::result(plan_.op(Op::Code::Fetch, kSelf, {made.actor, made.second}, "socket"));
    plan_.call(made.actor, SYS_close, {made.first});
    plan_.call(made.actor, SYS_close, {made.second});
    made.node->fd = first;
    dress(*made.node);
    if (made.node->partner != nullptr) {
      made.node->partner->fd = second;
      dress(*made.node->partner);
      continue;
    }
    made.node->gone = second;
    temporary_.push_back(second);
    if (const std::string& name = made.node->socket.peer_name(); !name.empty())
      names_.add({second, name, false});
  }
}

void UnixGroup::dress(const Node& node) {
  plan_.about(node.id());
  plan_socket_inode(plan_, node.fd, *node.file, 0);
  plan_socket_options(plan_, node.fd, node.socket.common(), OptionTime::Made);
}

Result<void> UnixGroup::give_names() {
  std::set<const Node*> accepted, wanted;
  for (const Connection& connection : connections_) {
    accepted.insert(connection.server);
    if (connection.listener != nullptr) wanted.insert(connection.listener);
  }
  for (const Node& node : nodes_) {
    TRY_ASSIGN(Node * peer, at(node.socket.peer_file_id()));
    if (node.type() == SOCK_DGRAM && peer != nullptr) wanted.insert(peer);
    if (node.socket.pending_size() != 0 || (node.type() == SOCK_DGRAM && node.socket.messages_size() != 0))
      wanted.insert(&node);
  }
  for (StandIn& stand_in : stand_ins_)
    names_.add({stand_in.fd, stand_in.name, true}, [&](Operand place) { stand_in.place = place; });
  for (Node& node : nodes_) {
    if (node.given || !node.socket.bound() || accepted.contains(&node)) continue;
    plan_.about(node.id());
    TRY(names_.add_bound(node.fd, node.socket, wanted.contains(&node),
                         [&node](Operand place) { node.place = place; }),
        "file {}", node.id());
  }
  names_.plan();
  return {};
}

void UnixGroup::listen() {
  std::vector<std::pair<const pb::PeerCredentials*, std::pair<Operand, std::uint32_t>>> all;
  for (const Node& node : nodes_)
    if (!node.given && node.socket.listening())
      all.push_back({&node.socket.common().peer(), {node.fd, node.socket.backlog()}});
  for (const StandIn& stand_in : stand_ins_)
    all.push_back({&stand_in.who, {stand_in.fd, static_cast<std::uint32_t>(kConnectsAtOnce)}});
  if (all.empty()) return;
  plan_.phase("unix listeners");
  callers_.for_each(
      all, [](const auto& one) { return *one.first; },
      [&](Actor actor, const auto& one) {
        OpId there = plan_.op(Op::Code::Pull, actor, {one.second.first});
        plan_.call(actor, SYS_listen, {Operand::result(there), one.second.second});
        plan_.call(actor, SYS_close, {Operand::result(there)});
      });
}

UnixGroup::Target UnixGroup::target_of(const Connection& connection) const {
  if (connection.listener != nullptr) return target_of(*connection.listener);
  const StandIn& stand_in = stand_ins_[connection.stand_in];
  return {stand_in.name, stand_in.place};
}

void UnixGroup::connect(Actor actor, Operand fd, const Target& target) {
  Operand there = fd;
  if (actor != kSelf) there = Operand::result(plan_.op(Op::Code::Pull, actor, {fd}));
  const Address address = names_.address(actor, target.name, target.place);
  plan_.call(actor, SYS_connect, {there, Operand::data(address.block), address.bytes}, "unix");
  if (actor != kSelf) plan_.call(actor, SYS_close, {there});
}

void UnixGroup::connect_through_listeners() {
  std::vector<Connection*> waiting;
  for (Connection& connection : connections_) waiting.push_back(&connection);
  std::ranges::stable_sort(
      waiting, [](const Connection* a, const Connection* b) { return caller_before(a->who, b->who); });
  while (!waiting.empty()) {
    std::vector<Connection*> now, later;
    std::map<std::pair<const Node*, std::size_t>, std::size_t> queued;
    for (Connection* connection : waiting) {
      const std::size_t room =
          connection->listener == nullptr
              ? kConnectsAtOnce
              : std::min<std::size_t>(kConnectsAtOnce,
                                      std::size_t{connection->listener->socket.backlog()} + 1);
      const bool same = now.empty() || same_caller(now.front()->who, connection->who);
      std::size_t& there = queued[{connection->listener, connection->stand_in}];
      if (same && there < room) {
        there++;
        now.push_back(connection);
      } else {
        later.push_back(connection);
      }
    }
    plan_.phase("unix connections");
    callers_.as(now.front()->who, [&](Actor actor) {
      for (Connection* connection : now) {
        about(*connection);
        connect(actor, connection->client_fd, target_of(*connection));
      }
      names_.forget_place(actor);
    });
    plan_.phase("unix connections accepted");
    for (Connection* connection : now) accept(*connection);
    waiting = std::move(later);
  }
  for (const StandIn& stand_in : stand_ins_) drop(stand_in.fd);
}

void UnixGroup::about(const Connection& connection) {
  plan_.about((connection.client != nullptr ? connection.client : connection.server)->id());
}

void UnixGroup::accept(Connection& connection) {
  about(connection);
  const Operand listener =
      connection.listener != nullptr ? connection.listener->fd : stand_ins_[connection.stand_in].fd;
  const Operand fd = Operand::result(plan_.call(kSelf, SYS_accept4, {listener, 0, 0, SOCK_CLOEXEC}, "unix"));
  if (connection.server != nullptr) {
    connection.server->fd = fd;
    dress(*connection.server);
  } else {
    connection.client->gone = fd;
    temporary_.push_back(fd);
  }
}

Result<void> UnixGroup::connect_pending() {
  struct Waiting {
    Node* listener;
    const pb::UnixPending* pending;
    Node* client;
    Operand fd;
  };
  std::vector<Waiting> all;
  plan_.phase("unix clients");
  for (Node& node : nodes_) {
    if (node.given) continue;
    for (const pb::UnixPending& pending : node.socket.pending()) {
      TRY_ASSIGN(Node * client, at(pending.client_file_id()));
      if (client != nullptr && (client->given || client->partner != nullptr || client->type() != node.type()))
        return bad("a client that is connected otherwise");
      plan_.about(node.id());
      Waiting waiting{&node, &pending, client, client != nullptr ? client->fd : temporary(node.type())};
      if (client == nullptr && !pending.client_name().empty())
        names_.add({waiting.fd, pending.client_name(), false});
      all.push_back(waiting);
    }
  }
  names_.plan();
  // What is accepted has these of the listener, since 6.16 as they were when it was connected to.
  for (const Waiting& waiting : all)
    if (filled_.insert(waiting.listener).second)
      plan_socket_options(plan_, waiting.listener->fd, waiting.listener->socket.common(), OptionTime::Filled);
  for (std::size_t i = 0; i < all.size();) {
    std::size_t end = i;
    while (end < all.size() && same_caller(all[i].pending->peer(), all[end].pending->peer())) end++;
    plan_.phase("unix connections to be accepted");
    callers_.as(all[i].pending->peer(), [&](Actor actor) {
      for (; i < end; i++) {
        plan_.about(all[i].listener->id());
        connect(actor, all[i].fd, target_of(*all[i].listener));
      }
      names_.forget_place(actor);
    });
  }
  if (!all.empty()) plan_.phase("unix messages to be accepted");
  for (const Waiting& waiting : all)
    for (const pb::UnixMessage& message : waiting.pending->messages()) {
      plan_.about(waiting.listener->id());
      TRY(send(waiting.fd, message, nullptr));
    }
  return {};
}

}  // namespace bpfckpt::kinds
