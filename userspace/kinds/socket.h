// SPDX-License-Identifier: Apache-2.0
// What sockets of all families share: the record that trails a socket's file_record, and options.
//
// Nearly all options of SOL_SOCKET are fields of struct sock, which BPF has read: only what the kernel keeps
// in another shape (time in jiffies, a filter translated to eBPF, a device by number) is read by
// getsockopt(2), over a borrowed descriptor, and only where it is set.
#pragma once

#include <string>

#include "base/result.h"
#include "images/kinds/socket.pb.h"
#include "kinds/kind.h"
#include "plan/builder.h"

struct socket_record;  // bpf/kinds/socket.h

namespace bpfckpt::kinds {

// The record that trails `record`; null where there is none.
const socket_record* socket_record_of(const file_record& record);
// The path of a unix socket's node, as d_path() gave it; empty: none.
std::string_view socket_node_path(const file_record& record);

// What BPF saw of it.
void describe_socket(const socket_record& record, pb::Socket& socket);
// Is there anything that has to be asked of the socket itself?
bool needs_look(const socket_record& record);
bool needs_look(const pb::Socket& socket);
// Reads that through the borrowed `fd`, which changes nothing.
Result<void> look_at_socket(int fd, pb::Socket& socket);
// Adds one option as it is read through `fd`; `len_bytes` at most.
Result<void> read_option(int fd, int level, int name, std::size_t len_bytes, pb::Socket& socket);
using SocketOptions = google::protobuf::RepeatedPtrField<pb::SocketOption>;
// The value of an option that is a number; `usual`, if it is not among them.
int int_option(const SocketOptions& options, int level, int name, int usual);
// Null: it is not among them.
const pb::SocketOption* find_option(const SocketOptions& options, int level, int name);
void add_option(pb::Socket& socket, int level, int name, std::string_view value);
inline void add_option(pb::Socket& socket, int level, int name, int value) {
  add_option(socket, level, name, {reinterpret_cast<const char*>(&value), sizeof value});
}

// When an option is set: before the socket is bound and connected, or when everything is in its queues.
enum class OptionTime { Made, Filled };
void plan_socket_options(PlanBuilder& plan, Operand fd, const pb::Socket& socket, OptionTime time);
// Adds to the plan that bpfckpt makes the socket, with what can be set before it is bound: owner, mode,
// options, O_NONBLOCK and its like.
OpId plan_socket(PlanBuilder& plan, const pb::File& file, const pb::Socket& socket);
// Owner, mode and flags of a socket that was made otherwise.
void plan_socket_inode(PlanBuilder& plan, Operand fd, const pb::File& file, std::uint32_t made_with_flags);

// Ok, or why no socket like this can be taken.
Finding judge_socket(const pb::Socket& socket);
// Error::BadImage where a field is impossible.
Result<void> check_socket(const pb::Socket& socket, std::string_view what);

// "unix stream", "AF_VSOCK"
std::string family_name(std::uint32_t family);

}  // namespace bpfckpt::kinds
