// SPDX-License-Identifier: Apache-2.0
// Unix sockets.
//
// The kernel object is a struct sock with a name that it was given or has from who listened, a pointer to the
// other end, and a queue of messages for it. Kept: all of that, with message bounds, senders, credentials and
// files in flight; connections that nobody has accepted; which ends are shut down or gone; who connected
// (SO_PEERCRED); options. Not kept: inode numbers and cookies; the pid of peer credentials where that process
// is not in the tree (its root is shown); SO_ERROR but for a connection that was reset; how the bytes of a
// stream are spread over buffers that carry nothing else.
//
// Who is whose other end is told by pointers, as BPF saw them. They are in the messages only while the model
// is put together: settle() turns them into file ids and takes them out.
#include "kinds/unix.h"

#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstring>
#include <unordered_map>
#include <unordered_set>

#include "bpf/kinds/socket.h"
#include "bpf/kinds/unix_queue.h"
#include "bpf/records.h"
#include "kinds/objects.h"
#include "kinds/policy.h"
#include "kinds/socket.h"
#include "kinds/unix_peek.h"
#include "model/details.h"

namespace bpfckpt::kinds {

extern const Kind kUnix;

namespace {

constexpr std::uint32_t kListen = 10;  // TCP_LISTEN
constexpr std::size_t kMostNameBytes = 108;
constexpr int kInq = 84;  // SO_INQ

std::string name_of(const char* name, std::uint32_t bytes) {
  std::string text(name, std::min<std::size_t>(bytes, kMostNameBytes));
  if (is_path(text) && text.back() == '\0') text.pop_back();
  return text;
}

Result<void> describe(const file_record& record, pb::File& file, pb::FileObject*) {
  const socket_record* part = socket_record_of(record);
  if (part == nullptr) return fail(Error::bug("a socket without its record"));
  const unix_record& un = part->detail.un;
  pb::UnixSocket socket;
  describe_socket(*part, *socket.mutable_common());
  if ((un.flags & UNIX_INQ) != 0) add_option(*socket.mutable_common(), SOL_SOCKET, kInq, 1);
  socket.set_name(name_of(un.name, un.name_bytes));
  socket.set_bound((un.flags & UNIX_BOUND) != 0);
  socket.set_listening(part->state == kListen);
  if (socket.listening()) socket.set_backlog(part->max_backlog);
  if ((un.flags & UNIX_HAS_NODE) != 0) {
    pb::UnixNode& node = *socket.mutable_node();
    std::string path(socket_node_path(record));
    constexpr std::string_view kDeleted = " (deleted)";
    node.set_deleted((un.node.flags & PATH_UNLINKED) != 0);
    if (node.deleted() && path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
    node.set_path(std::move(path));
    node.set_mode(un.node.mode);
    node.set_uid(un.node_uid);
    node.set_gid(un.node_gid);
  }
  if (un.peer != 0) {
    socket.set_peer_gone((un.flags & UNIX_PEER_DEAD) != 0);
    socket.set_peer_pending((un.flags & UNIX_PEER_PENDING) != 0);
    socket.set_peer_name(name_of(un.peer_name, un.peer_name_bytes));
    socket.mutable_outside()->set_inode(un.peer_inode);
    socket.mutable_outside()->set_nobody((un.flags & UNIX_UNSURE) != 0);
  }
  socket.set_sock(part->sock);
  socket.set_peer(un.peer);
  socket.set_address(un.address);
  pack(socket, *file.mutable_detail());
  return {};
}

Result<void> add_message(const unix_message_record& record, const FileIds& ids, pb::UnixMessage& message) {
  auto bytes = reinterpret_cast<const char*>(&record + 1);
  const std::size_t data_bytes = (record.data_bytes + 7) & ~std::size_t{7};
  if (record.head.record.length < sizeof record + data_bytes + record.files * std::size_t{8})
    return fail(Error::bug("a short record of a message"));
  if (record.data_bytes != 0) message.set_data(bytes, record.data_bytes);
  if (record.data_bytes != record.length) message.set_length(record.length);
  for (std::uint32_t i = 0; i < record.files; i++) {
    std::uint64_t pointer;
    std::memcpy(&pointer, bytes + data_bytes + i * sizeof pointer, sizeof pointer);
    const std::uint32_t id = ids(pointer);
    message.add_file_ids(id);
    if (id == 0) message.set_unknown_files(message.unknown_files() + 1);
  }
  if ((record.flags & UNIX_MESSAGE_CREDENTIALS) != 0) {
    message.mutable_credentials()->set_pid(record.pid);
    message.mutable_credentials()->set_uid(record.uid);
    message.mutable_credentials()->set_gid(record.gid);
  }
  message.set_out_of_band((record.flags & UNIX_MESSAGE_OOB) != 0);
  message.set_sender(record.sender);
  message.set_sender_gone((record.flags & UNIX_MESSAGE_SENDER_DEAD) != 0);
  message.set_sender_name(name_of(record.sender_name, record.sender_name_bytes));
  return {};
}

void add_pending(const unix_pending_record& record, pb::UnixPending& pending) {
  pending.set_client_name(name_of(record.client_name, record.client_name_bytes));
  pb::PeerCredentials& peer = *pending.mutable_peer();
  peer.set_pid(record.pid);
  peer.set_uid(record.uid);
  peer.set_gid(record.gid);
  peer.mutable_groups()->Add(
      record.groups, record.groups + std::min<std::uint32_t>(record.groups_count, UNIX_PENDING_GROUPS));
  pending.set_sock(record.sock);
  pending.set_client(record.client);
  pending.set_client_gone(record.client_dead != 0 || record.client == 0);
  pending.set_client_inode(record.client_inode);
}

Result<void> add_items(std::span<const record_head* const> items, const FileIds& ids, pb::File& file) {
  TRY_ASSIGN(pb::UnixSocket socket, unpack<pb::UnixSocket>(file.detail(), "unix socket"));
  std::unordered_map<std::uint64_t, int> pending;  // by struct sock
  const bool stream = socket.common().type() == SOCK_STREAM;
  for (const record_head* head : items) {
    if (head->type != RECORD_UNIX_ITEM || head->length < sizeof(unix_item_head))
      return fail(Error::bug("an item that is none of a unix socket"));
    const auto& item = *reinterpret_cast<const unix_item_head*>(head);
    if (item.what == UNIX_ITEM_HOLDER && head->length >= sizeof(unix_holder_record)) {
      const auto& record = *reinterpret_cast<const unix_holder_record*>(head);
      socket.mutable_outside()->set_pid(record.pid);
      socket.mutable_outside()->clear_nobody();
      socket.mutable_outside()->set_comm(
          printable({record.comm, ::strnlen(record.comm, sizeof record.comm)}));
    } else if (item.what == UNIX_ITEM_PENDING && head->length >= sizeof(unix_pending_record)) {
      const auto& record = *reinterpret_cast<const unix_pending_record*>(head);
      pending.emplace(record.sock, socket.pending_size());
      add_pending(record, *socket.add_pending());
    } else if (item.what == UNIX_ITEM_MESSAGE && head->length >= sizeof(unix_message_record)) {
      const auto& record = *reinterpret_cast<const unix_message_record*>(head);
      // Of a stream an urgent byte that was read leaves its empty buffer behind (net/unix/af_unix.c:
      // unix_stream_recv_urg()).
      if (stream && record.length == 0) continue;
      if (auto it = pending.find(record.head.list); it != pending.end())
        TRY(add_message(record, ids, *socket.mutable_pending(it->second)->add_messages()));
      else
        TRY(add_message(record, ids, *socket.add_messages()));
    } else {
      return fail(Error::bug("an item of a unix socket of unknown type"));
    }
  }
  pack(socket, *file.mutable_detail());
  return {};
}

// What pointers lead to, of the whole tree.
struct Known {
  std::unordered_map<std::uint64_t, std::uint32_t> sockets;    // struct sock: file id
  std::unordered_map<std::uint64_t, std::uint32_t> listeners;  // struct unix_address: file id
  std::unordered_set<std::uint64_t> pending;                   // struct sock that waits at a listener of ours
};

template <class Map>
std::uint32_t look_up(const Map& map, std::uint64_t pointer) {
  auto it = map.find(pointer);
  return it == map.end() ? 0 : it->second;
}

void settle_messages(const Known& known, google::protobuf::RepeatedPtrField<pb::UnixMessage>& messages) {
  for (pb::UnixMessage& message : messages) {
    if (!message.sender_gone()) message.set_sender_file_id(look_up(known.sockets, message.sender()));
    if (message.sender_file_id() != 0) message.clear_sender_name();
    message.clear_sender();
    message.clear_sender_gone();
  }
}

void settle_one(const Known& known, std::unordered_set<std::uint32_t> const& pids, pb::UnixSocket& socket) {
  const bool live = socket.peer() != 0 && !socket.peer_gone();
  if (live) socket.set_peer_file_id(look_up(known.sockets, socket.peer()));
  socket.set_peer_pending(live && known.pending.contains(socket.peer()));
  // Of a tree that runs only what somebody outside was seen to have is outside: others are in flight, where
  // it is not looked for, or were made, accepted or closed while we looked.
  const bool missed = socket.outside().nobody() || pids.contains(socket.outside().pid());
  const bool outside = live && socket.peer_file_id() == 0 && !socket.peer_pending() && !missed;
  // Who connected is a hint where nobody has looked who has it.
  if (outside && socket.outside().pid() == 0 && !pids.contains(socket.common().peer().pid()))
    socket.mutable_outside()->set_pid(socket.common().peer().pid());
  if (!outside) socket.clear_outside();
  if (!outside && !socket.peer_gone()) socket.clear_peer_name();
  if (!socket.bound() && !socket.name().empty())
    socket.set_listener_file_id(look_up(known.listeners, socket.address()));
  settle_messages(known, *socket.mutable_messages());
  for (pb::UnixPending& pending : *socket.mutable_pending()) {
    if (!pending.client_gone()) pending.set_client_file_id(look_up(known.sockets, pending.client()));
    if (pending.client_file_id() != 0) pending.clear_client_name();
    settle_messages(known, *pending.mutable_messages());
    pending.clear_sock();
    pending.clear_client();
  }
  socket.clear_sock();
  socket.clear_peer();
  socket.clear_address();
}

Result<void> settle(Model& model) {
  std::vector<std::pair<pb::File*, pb::UnixSocket>> sockets;
  Known known;
  for (pb::File& file : *model.files.mutable_files()) {
    if (file.kind() != kUnix.name) continue;
    TRY_ASSIGN(pb::UnixSocket socket, unpack<pb::UnixSocket>(file.detail(), "unix socket"));
    known.sockets.emplace(socket.sock(), file.id());
    if (socket.listening()) known.listeners.emplace(socket.address(), file.id());
    for (const pb::UnixPending& pending : socket.pending()) known.pending.insert(pending.sock());
    sockets.emplace_back(&file, std::move(socket));
  }
  if (sockets.empty()) return {};
  std::unordered_set<std::uint32_t> pids;
  for (const pb::Process& process : model.tasks.processes()) pids.insert(process.pid());
  for (auto& [file, socket] : sockets) {
    settle_one(known, pids, socket);
    pack(socket, *file->mutable_detail());
  }
  return {};
}

bool is_missing(const pb::UnixMessage& message) {
  return message.length() != 0;
}

bool has_unknown_files(const google::protobuf::RepeatedPtrField<pb::UnixMessage>& messages) {
  return std::ranges::any_of(messages, [](const pb::UnixMessage& m) { return m.unknown_files() != 0; });
}

// Bytes that are in pages, and options that have to be asked for.
Result<void> enrich(EnrichContext& context, pb::File& file, pb::FileObject*) {
  TRY_ASSIGN(pb::UnixSocket socket, unpack<pb::UnixSocket>(file.detail(), "unix socket"));
  bool unknown = has_unknown_files(socket.messages());
  for (const pb::UnixPending& pending : socket.pending()) unknown |= has_unknown_files(pending.messages());
  if (unknown)
    return fail(Error::unsupported(
        "files that no process has open are in flight on a connection that nobody has accepted"));
  const bool missing = std::ranges::any_of(socket.messages(), is_missing);
  if (!missing && !needs_look(socket.common())) return {};
  TRY_ASSIGN(Fd fd, context.borrow(file));
  if (needs_look(socket.common())) TRY(look_at_socket(fd.get(), *socket.mutable_common()));
  if (missing) {
    if (std::ranges::any_of(socket.messages(), [](const pb::UnixMessage& m) { return m.out_of_band(); }))
      return fail(Error::unsupported("an urgent byte (MSG_OOB) is among long messages"));
    std::vector<std::uint32_t> lengths;
    for (const pb::UnixMessage& message : socket.messages())
      lengths.push_back(is_missing(message) ? message.length()
                                            : static_cast<std::uint32_t>(message.data().size()));
    TRY_ASSIGN(std::vector<std::string> data, peek_data(fd.get(), lengths));
    for (int i = 0; i < socket.messages_size(); i++) {
      socket.mutable_messages(i)->set_data(std::move(data[static_cast<std::size_t>(i)]));
      socket.mutable_messages(i)->clear_length();
    }
  }
  pack(socket, *file.mutable_detail());
  return {};
}

Result<void> ties(const pb::File& file, Ties& ties) {
  TRY_ASSIGN(pb::UnixSocket socket, unpack<pb::UnixSocket>(file.detail(), "unix socket"));
  auto with = [&](std::uint32_t id) {
    if (id != 0) ties.with.push_back(id);
  };
  auto add = [&](const google::protobuf::RepeatedPtrField<pb::UnixMessage>& messages) {
    for (const pb::UnixMessage& message : messages) {
      with(message.sender_file_id());
      for (const std::uint32_t id : message.file_ids())
        if (id != 0) ties.carried.push_back(id);
    }
  };
  with(socket.peer_file_id());
  with(socket.listener_file_id());
  add(socket.messages());
  for (const pb::UnixPending& pending : socket.pending()) {
    with(pending.client_file_id());
    add(pending.messages());
  }
  return {};
}

Finding unsupported(std::string code, std::string reason) {
  return {Verdict::Unsupported, std::move(code), std::move(reason), ""};
}

// Its relative name cannot be bound again.
bool has_lost_name(const pb::UnixSocket& socket) {
  std::size_t up = 0;
  return socket.bound() && is_path(socket.name()) && socket.name().front() != '/' && socket.has_node() &&
         !socket.node().deleted() && directory_of_relative(socket.name(), socket.node().path(), up).empty();
}

std::string lost_name(const pb::UnixSocket& socket) {
  return fmt::format("from where its relative name {} leads to {} cannot be told",
                     unix_name_text(socket.name()), printable(socket.node().path()));
}

Finding judge_outside(const pb::File& file, const pb::UnixSocket& socket, const DumpPolicy& policy) {
  const pb::UnixOutside& outside = socket.outside();
  std::string who = outside.inode() != 0 ? fmt::format("socket:[{}]", outside.inode())
                                         : "a socket that waits to be accepted";
  if (outside.pid() != 0)
    who += fmt::format(" of process {}{}", outside.pid(),
                       outside.comm().empty() ? "" : fmt::format(" ({})", outside.comm()));
  const std::string reason = fmt::format("its other end, {}, is outside of the tree", who);
  const std::string keep = fmt::format("--external socket:[{}]", file.inode().number());
  const bool allowed =
      policy.ext_unix_sk || std::ranges::any_of(policy.external, [&](const std::string& external) {
        return external == fmt::format("unix[{}]", file.inode().number()) ||
               (outside.inode() != 0 && external == fmt::format("unix[{}]", outside.inode()));
      });
  // What only the one option helps against comes before what the other is enough for.
  if (socket.peer_name().empty())
    return {Verdict::NeedsOption, "unix-outside", reason + ", and has no name to connect to again", keep};
  if (socket.messages_size() != 0)
    return {Verdict::NeedsOption, "unix-outside-data",
            fmt::format("{}, and {} unread messages of it would be lost", reason, socket.messages_size()),
            keep};
  if (has_lost_name(socket))
    return {Verdict::NeedsOption, "unix-name", fmt::format("{}, and {}", reason, lost_name(socket)), keep};
  if (!allowed)
    return {Verdict::NeedsOption, "unix-outside",
            fmt::format("{} ({})", reason, unix_name_text(socket.peer_name())), "--ext-unix-sk"};
  return {Verdict::Ok, "unix-outside",
          fmt::format("{}; a restore connects again to {}", reason, unix_name_text(socket.peer_name())), ""};
}

Finding judge_pending(const pb::UnixPending& pending) {
  if (pending.client_file_id() == 0 && !pending.client_gone())
    return unsupported(
        "unix-pending-outside",
        fmt::format("process {}, which is outside of the tree, has connected to it (socket:[{}]) and "
                    "waits to be accepted",
                    pending.peer().pid(), pending.client_inode()));
  // In a running tree also one that is in flight to an accepted socket as well, which only a look at that
  // would tell.
  if (has_unknown_files(pending.messages()))
    return unsupported(
        "unix-pending-data",
        "a connection to it that nobody has accepted holds descriptors that no process has open");
  if (std::ranges::any_of(pending.messages(), is_missing))
    return unsupported(
        "unix-pending-data",
        "a connection to it that nobody has accepted holds long messages, which cannot be read");
  return {};
}

// A datagram socket without a name can be sent to by who is its other end only.
bool has_stray_sender(const pb::UnixSocket& socket) {
  if (socket.common().type() != SOCK_DGRAM || socket.bound()) return false;
  if (socket.peer_file_id() == 0 && !socket.peer_gone()) return false;  // of a tree that runs: made meanwhile
  return std::ranges::any_of(socket.messages(), [&](const pb::UnixMessage& message) {
    return message.sender_file_id() != 0 ? message.sender_file_id() != socket.peer_file_id()
                                         : !socket.peer_gone();
  });
}

Finding diagnose(const pb::File& file, const pb::FileObject*, const DumpPolicy& policy) {
  auto unpacked = unpack<pb::UnixSocket>(file.detail(), "unix socket");
  if (!unpacked) return {};
  const pb::UnixSocket& socket = *unpacked;
  if (Finding finding = judge_socket(socket.common()); finding.verdict != Verdict::Ok) return finding;
  if (socket.has_outside()) return judge_outside(file, socket, policy);
  for (const pb::UnixPending& pending : socket.pending())
    if (Finding finding = judge_pending(pending); finding.verdict != Verdict::Ok) return finding;
  if (has_stray_sender(socket))
    return unsupported("unix-sender", "it has no name, and messages of a socket that is not its other end");
  if (std::ranges::any_of(socket.messages(), is_missing) &&
      std::ranges::any_of(socket.messages(), &pb::UnixMessage::out_of_band))
    return unsupported("unix-urgent", "an urgent byte (MSG_OOB) is among long messages");
  if (has_lost_name(socket)) return unsupported("unix-name", lost_name(socket));
  std::uint32_t unknown = 0;
  for (const pb::UnixMessage& message : socket.messages()) unknown += message.unknown_files();
  if (unknown != 0)
    return {Verdict::Ok, kUnknownInFlight,
            fmt::format("{} in flight to it, which no process has open: what {}, only a dump looks at",
                        unknown == 1 ? "a descriptor is" : fmt::format("{} descriptors are", unknown),
                        unknown == 1 ? "it is" : "they are"),
            ""};
  return {};
}

Result<void> check_messages(const google::protobuf::RepeatedPtrField<pb::UnixMessage>& messages) {
  constexpr int kMostFiles = 253;
  for (const pb::UnixMessage& message : messages) {
    if (message.file_ids_size() > kMostFiles)
      return fail(Error::bad_image("unix socket: too many files in flight"));
    if (message.sender_name().size() > kMostNameBytes)
      return fail(Error::bad_image("unix socket: a name is too long"));
    if (message.length() != 0 || message.unknown_files() != 0)
      return fail(Error::bad_image("unix socket: a message that was not read"));
    if (message.out_of_band() && message.data().size() != 1)
      return fail(Error::bad_image("unix socket: more than one urgent byte"));
  }
  return {};
}

// Nothing of it is to be read from the socket, and no file is in flight.
bool can_wait(const file_record& record, std::span<const record_head* const> items) {
  const socket_record* part = socket_record_of(record);
  if (part == nullptr || needs_look(*part)) return false;
  return std::ranges::all_of(items, [](const record_head* head) {
    if (head->type != RECORD_UNIX_ITEM || head->length < sizeof(unix_item_head)) return false;
    if (reinterpret_cast<const unix_item_head*>(head)->what != UNIX_ITEM_MESSAGE) return true;
    if (head->length < sizeof(unix_message_record)) return false;
    const auto& message = *reinterpret_cast<const unix_message_record*>(head);
    return message.files == 0 && message.data_bytes == message.length;
  });
}

}  // namespace

std::string unix_name_text(std::string_view name) {
  return is_abstract(name) ? "@" + printable(name.substr(1)) : printable(name);
}

std::string directory_of_relative(std::string_view name, std::string_view node_path, std::size_t& up) {
  std::vector<std::string_view> rest;
  up = 0;
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('/'), name.size());
    const std::string_view part = name.substr(0, end);
    name.remove_prefix(std::min(end + 1, name.size()));
    if (part.empty() || part == ".") continue;
    if (part != "..")
      rest.push_back(part);
    else if (rest.empty())
      up++;
    else
      rest.pop_back();
  }
  std::string tail;
  for (std::string_view part : rest) tail += "/" + std::string(part);
  if (tail.empty() || !node_path.ends_with(tail)) return "";
  const std::string_view directory = node_path.substr(0, node_path.size() - tail.size());
  return directory.empty() ? "/" : std::string(directory);
}

Result<pb::UnixSocket> unpack_unix(const pb::File& file) {
  TRY_ASSIGN(pb::UnixSocket socket, unpack<pb::UnixSocket>(file.detail(), "unix socket"));
  auto bad = [](std::string_view why) { return fail(Error::bad_image(fmt::format("unix socket: {}", why))); };
  const pb::Socket& common = socket.common();
  TRY(check_socket(common, "unix socket"));
  if (common.family() != AF_UNIX ||
      (common.type() != SOCK_STREAM && common.type() != SOCK_DGRAM && common.type() != SOCK_SEQPACKET))
    return bad(fmt::format("bad type {}", common.type()));
  if (socket.name().size() > kMostNameBytes || socket.peer_name().size() > kMostNameBytes)
    return bad("its name is too long");
  if (is_path(socket.name()) && socket.name().find('\0') != std::string::npos)
    return bad("its name holds a zero byte");
  if (socket.bound() && socket.name().empty()) return bad("it is bound to no name");
  if (socket.listening() && (common.type() == SOCK_DGRAM || !socket.bound())) return bad("it cannot listen");
  if (socket.pending_size() != 0 && !socket.listening()) return bad("connections to what does not listen");
  if (socket.bound() && is_path(socket.name()) &&
      (!socket.has_node() || !socket.node().path().starts_with('/') ||
       socket.node().path().find('\0') != std::string::npos))
    return bad("its name is nowhere");
  if (socket.peer_file_id() != 0 && (socket.peer_gone() || socket.has_outside() || socket.listening()))
    return bad("more than one other end");
  TRY(check_messages(socket.messages()));
  for (const pb::UnixPending& pending : socket.pending()) {
    if (pending.client_name().size() > kMostNameBytes) return bad("the name of a client is too long");
    TRY(check_messages(pending.messages()));
  }
  return socket;
}

Result<Fd> fetch_in_flight(int fd, const pb::File& carrier, std::uint32_t file_id) {
  TRY_ASSIGN(pb::UnixSocket socket, unpack<pb::UnixSocket>(carrier.detail(), "unix socket"));
  std::size_t index = 0;
  for (const pb::UnixMessage& message : socket.messages())
    for (const std::uint32_t id : message.file_ids()) {
      if (id != file_id) {
        index++;
        continue;
      }
      TRY_ASSIGN(std::vector<Fd> files, peek_rights(fd));
      if (index < files.size()) return std::move(files[index]);
      return fail(Error::system("a file in flight is gone", EIO));
    }
  return Fd();
}

extern const Kind kUnix = {
    .name = "unix",
    .kept =
        "names (paths, abstract, deleted), who is connected to whom, unread messages with bounds, senders, "
        "credentials and files in flight, connections not yet accepted, shut-down and closed ends, peer "
        "credentials, options",
    .not_kept =
        "inode numbers, cookies; the pid of peer credentials where that process is not in the tree; "
        "SO_ERROR but for a reset connection",
    .refused =
        "an other end outside of the tree, unless `--ext-unix-sk`, `--external unix[INO]` or "
        "`--external socket:[INO]`; long messages, or files that nobody has open, on a connection that "
        "nobody has accepted; eBPF filters",
    .describe = describe,
    .enrich = enrich,
    .diagnose = diagnose,
    .settle = settle,
    .add_items = add_items,
    .ties = ties,
    .make_group = make_unix_group,
    .can_wait = can_wait,
};

}  // namespace bpfckpt::kinds
