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
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "kinds/objects.h"
#include "kinds/socket.h"
#include "kinds/unix.h"
#include "kinds/unix_names.h"

namespace bpfckpt::kinds {
namespace {

constexpr std::size_t kConnectsAtOnce = 64;  // fewer than any sane backlog of a listener of ours
constexpr std::uint32_t kSndBufForce = 32, kBufLock = 72;

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

class Group {
 public:
  Group(PlanBuilder& plan, std::span<const pb::File* const> files)
      : plan_(plan), names_(plan), callers_(plan) {
    for (const pb::File* file : files) nodes_.emplace_back().file = file;
  }

  Result<void> run() {
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

 private:
  static std::unexpected<Error> bad(std::string_view why) {
    return fail(Error::bad_image(fmt::format("unix socket: {}", why)));
  }

  // --- what there is

  Result<void> read() {
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

  // Null: none. Not in this round is in no image of ours.
  Result<Node*> at(std::uint32_t id) {
    if (id == 0) return nullptr;
    auto it = by_id_.find(id);
    if (it == by_id_.end()) return bad(fmt::format("file {} is no unix socket", id));
    return it->second;
  }

  Result<void> find_connections() {
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

  Result<void> find_connection(Node& node, Node* peer) {
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

  // `named` has the name that the server's end shows.
  Result<void> add_connection(Node* server, Node* client, const pb::UnixSocket& named,
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

  std::size_t stand_in_for(const std::string& name, std::uint32_t type, const pb::PeerCredentials& who) {
    for (std::size_t i = 0; i < stand_ins_.size(); i++)
      if (stand_ins_[i].name == name && stand_ins_[i].type == type && same_caller(stand_ins_[i].who, who))
        return i;
    stand_ins_.push_back({name, type, who, temporary(type), {}});
    return stand_ins_.size() - 1;
  }

  Result<void> find_datagram_pair(Node& node, Node* peer) {
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

  void add_pair(Node& node) {
    node.paired = true;
    pairs_.push_back(&node);
  }

  // --- making

  Operand temporary(std::uint32_t type) {
    OpId fd = plan_.call(kSelf, SYS_socket, {AF_UNIX, type | SOCK_CLOEXEC, 0}, "an end that is gone");
    temporary_.push_back(Operand::result(fd));
    return temporary_.back();
  }

  void make_sockets() {
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

  void take_pairs() {
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

  // What was not made by plan_socket().
  void dress(const Node& node) {
    plan_.about(node.id());
    plan_socket_inode(plan_, node.fd, *node.file, 0);
    plan_socket_options(plan_, node.fd, node.socket.common(), OptionTime::Made);
  }

  Result<void> give_names() {
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

  void listen() {
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

  // --- connections

  struct Target {
    std::string name;
    std::optional<Operand> place;
  };

  Target target_of(const Node& node) const { return {node.socket.name(), node.place}; }
  Target target_of(const Connection& connection) const {
    if (connection.listener != nullptr) return target_of(*connection.listener);
    const StandIn& stand_in = stand_ins_[connection.stand_in];
    return {stand_in.name, stand_in.place};
  }

  // `actor` connects bpfckpt's `fd`.
  void connect(Actor actor, Operand fd, const Target& target) {
    Operand there = fd;
    if (actor != kSelf) there = Operand::result(plan_.op(Op::Code::Pull, actor, {fd}));
    const Address address = names_.address(actor, target.name, target.place);
    plan_.call(actor, SYS_connect, {there, Operand::data(address.block), address.bytes}, "unix");
    if (actor != kSelf) plan_.call(actor, SYS_close, {there});
  }

  // Each batch is connected in one phase and accepted in the next, in the same order.
  void connect_through_listeners() {
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

  void about(const Connection& connection) {
    plan_.about((connection.client != nullptr ? connection.client : connection.server)->id());
  }

  void accept(Connection& connection) {
    about(connection);
    const Operand listener =
        connection.listener != nullptr ? connection.listener->fd : stand_ins_[connection.stand_in].fd;
    const Operand fd =
        Operand::result(plan_.call(kSelf, SYS_accept4, {listener, 0, 0, SOCK_CLOEXEC}, "unix"));
    if (connection.server != nullptr) {
      connection.server->fd = fd;
      dress(*connection.server);
    } else {
      connection.client->gone = fd;
      temporary_.push_back(fd);
    }
  }

  // Those that stay unaccepted, in the order of each listener's queue.
  Result<void> connect_pending() {
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
        if (client != nullptr &&
            (client->given || client->partner != nullptr || client->type() != node.type()))
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
        plan_socket_options(plan_, waiting.listener->fd, waiting.listener->socket.common(),
                            OptionTime::Filled);
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

  // --- messages

  // A sender's limit counts what the kernel takes for each message, not its bytes.
  void raise_buffers() {
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
      if (node.has_gone && bytes > usual) set_int(node.gone, kSndBufForce, half_of(bytes));
    }
    for (Node& node : nodes_)
      if (auto it = needed_.find(&node); it != needed_.end()) {
        plan_.about(node.id());
        set_int(node.fd, kSndBufForce, half_of(it->second));
      }
  }

  // The kernel doubles what it is told.
  static std::int32_t half_of(std::uint64_t bytes) {
    return static_cast<std::int32_t>(std::min<std::uint64_t>(bytes / 2 + 1, 1 << 29));
  }
  static std::uint64_t cost(const pb::UnixMessage& message) { return 2 * message.data().size() + 2048; }

  // Null: it is gone.
  Node* sender_of(const Node& receiver, const pb::UnixMessage& message) {
    if (receiver.type() != SOCK_DGRAM) return receiver.partner;
    auto it = by_id_.find(message.sender_file_id());
    return it == by_id_.end() ? nullptr : it->second;
  }

  void set_int(Operand fd, std::uint32_t option, std::int32_t value) {
    plan_.call(kSelf, SYS_setsockopt, {fd, SOL_SOCKET, option, Operand::data(plan_.bytes_of(value)), 4},
               "buffer");
  }

  Result<void> send_messages(Node& node) {
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

  // `target`: null for a connected socket.
  Result<void> send(Operand fd, const pb::UnixMessage& message, const Target* target) {
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

  Result<std::optional<DataId>> control_of(const pb::UnixMessage& message) {
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

  // --- datagram sockets

  Result<void> connect_datagrams() {
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

  // Those that are connected to it come first: once it is connected itself, it is closed to others. No circle
  // of more than two can have come to be.
  void connect_datagram(Node& node, std::unordered_map<const Node*, std::vector<Node*>>& followers,
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

  void connect_one(Node& node) {
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

  // To something that has that name, or any, for as long as it lives.
  void connect_to_gone(const Node& node) {
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

  // --- the end

  void finish() {
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

  void finish_one(const Node& node) {
    const pb::Socket& common = node.socket.common();
    // A connection whose other end is gone is shut down by that.
    const bool by_closing = node.has_gone && node.type() != SOCK_DGRAM;
    if (common.shutdown() != 0 && !by_closing)
      plan_.call(kSelf, SYS_shutdown, {node.fd, common.shutdown() - 1}, "unix");
    if (needed_.contains(&node)) {
      set_int(node.fd, kSndBufForce, static_cast<std::int32_t>(common.send_buffer() / 2));
      set_int(node.fd, kBufLock, static_cast<std::int32_t>(common.buffer_locks()));
    }
    if (!filled_.contains(&node)) plan_socket_options(plan_, node.fd, common, OptionTime::Filled);
  }

  void drop(Operand fd) {
    if (dropped_.emplace(fd.type, fd.index, fd.value).second) plan_.call(kSelf, SYS_close, {fd});
  }

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

}  // namespace

Result<void> make_unix_group(PlanBuilder& plan, std::span<const pb::File* const> files) {
  return Group(plan, files).run();
}

}  // namespace bpfckpt::kinds
