// SPDX-License-Identifier: Apache-2.0
// The sockets of one round that hang together, while they are being planned: unix_plan.cc says in which
// order.
#pragma once

#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "kinds/unix.h"
#include "kinds/unix_names.h"
#include "plan/builder.h"

namespace bpfckpt::kinds {

class UnixGroup {
 public:
  UnixGroup(PlanBuilder& plan, std::span<const pb::File* const> files)
      : plan_(plan), names_(plan), callers_(plan) {
    for (const pb::File* file : files) nodes_.emplace_back().file = file;
  }

  Result<void> run();

 private:
  struct Node {
    const pb::File* file = nullptr;
    pb::UnixSocket socket;
    bool given = false;  // by the caller: it is what it is
    Operand fd;
    Node* partner = nullptr;  // the other end of a pair or connection
    bool has_gone = false;    // or that end is gone, and exists for now as
    Operand gone;
    bool paired = false;           // by socketpair(2)
    std::optional<Operand> place;  // O_PATH descriptor of where its name leads, if somebody needs it

    std::uint32_t type() const { return socket.common().type(); }
    bool inherits_name() const { return !socket.bound() && !socket.name().empty(); }
    std::uint32_t id() const { return file->id(); }
  };

  // A connection through a listener.
  struct Connection {
    Node* server = nullptr;  // null: gone
    Node* client = nullptr;
    Operand client_fd;
    Node* listener = nullptr;  // null: gone, `stand_in` has its name
    std::size_t stand_in = 0;
    pb::PeerCredentials who;  // connected
  };

  struct StandIn {  // for a listener that is gone
    std::string name;
    std::uint32_t type;
    pb::PeerCredentials who;  // listened
    Operand fd;
    std::optional<Operand> place;
  };

  // --- what there is (unix_plan.cc)

  static std::unexpected<Error> bad(std::string_view why) {
    return fail(Error::bad_image(fmt::format("unix socket: {}", why)));
  }
  Result<void> read();
  // Null: none. Not in this round is in no image of ours.
  Result<Node*> at(std::uint32_t id);
  Result<void> find_connections();
  Result<void> find_connection(Node& node, Node* peer);
  // `named` has the name that the server's end shows.
  Result<void> add_connection(Node* server, Node* client, const pb::UnixSocket& named,
                              const std::string& client_name);
  std::size_t stand_in_for(const std::string& name, std::uint32_t type, const pb::PeerCredentials& who);
  Result<void> find_datagram_pair(Node& node, Node* peer);
  void add_pair(Node& node);
  Operand temporary(std::uint32_t type);
  void drop(Operand fd);

  // --- sockets and connections (unix_plan_connect.cc)

  void make_sockets();
  void take_pairs();
  // What was not made by plan_socket().
  void dress(const Node& node);
  Result<void> give_names();
  void listen();
  struct Target {
    std::string name;
    std::optional<Operand> place;
  };
  Target target_of(const Node& node) const { return {node.socket.name(), node.place}; }
  Target target_of(const Connection& connection) const;
  // `actor` connects bpfckpt's `fd`.
  void connect(Actor actor, Operand fd, const Target& target);
  // Each batch is connected in one phase and accepted in the next, in the same order.
  void connect_through_listeners();
  void about(const Connection& connection);
  void accept(Connection& connection);
  // Those that stay unaccepted, in the order of each listener's queue.
  Result<void> connect_pending();

  // --- messages, and datagram sockets (unix_plan_messages.cc)

  // A sender's limit counts what the kernel takes for each message, not its bytes.
  void raise_buffers();
  // The kernel doubles what it is told.
  static std::int32_t half_of(std::uint64_t bytes) {
    return static_cast<std::int32_t>(std::min<std::uint64_t>(bytes / 2 + 1, 1 << 29));
  }
  static std::uint64_t cost(const pb::UnixMessage& message) { return 2 * message.data().size() + 2048; }
  // Null: it is gone.
  Node* sender_of(const Node& receiver, const pb::UnixMessage& message);
  void set_int(Operand fd, std::uint32_t option, std::int32_t value);
  Result<void> send_messages(Node& node);
  // `target`: null for a connected socket.
  Result<void> send(Operand fd, const pb::UnixMessage& message, const Target* target);
  Result<std::optional<DataId>> control_of(const pb::UnixMessage& message);
  Result<void> connect_datagrams();
  // Those that are connected to it come first: once it is connected itself, it is closed to others. No circle
  // of more than two can have come to be.
  void connect_datagram(Node& node, std::unordered_map<const Node*, std::vector<Node*>>& followers,
                        std::set<const Node*>& done);
  void connect_one(Node& node);
  // To something that has that name, or any, for as long as it lives.
  void connect_to_gone(const Node& node);

  // --- the end (unix_plan.cc)

  void finish();
  void finish_one(const Node& node);

  struct MadeThere {
    Actor actor;
    Node* node;
    Operand first, second;
  };

  PlanBuilder& plan_;
  UnixNames names_;
  Callers callers_;
  std::deque<Node> nodes_;
  std::unordered_map<std::uint32_t, Node*> by_id_;
  std::vector<Node*> pairs_;  // one of each
  std::deque<Connection> connections_;
  std::deque<StandIn> stand_ins_;
  std::vector<MadeThere> made_there_;

  std::vector<Operand> temporary_;
  std::set<std::tuple<Operand::Type, std::uint32_t, std::uint64_t>> dropped_;
  std::unordered_map<const Node*, std::uint64_t> needed_;  // bytes of send buffer
  std::set<const Node*> filled_;                           // have their last options already
};

}  // namespace bpfckpt::kinds
