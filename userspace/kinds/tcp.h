// SPDX-License-Identifier: Apache-2.0
// TCP sockets, for those who see to what takes more than one of them: the network lock and queues at dump
// (dump/connections.cc), what is done when all are made (restore/connections.cc).
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "images/kinds/tcp.pb.h"
#include "kinds/kind.h"

namespace bpfckpt::kinds {

// include/net/tcp_states.h
enum TcpState : std::uint32_t {
  kTcpEstablished = 1,
  kTcpSynSent = 2,
  kTcpSynReceived = 3,
  kTcpFinWait1 = 4,
  kTcpFinWait2 = 5,
  kTcpTimeWait = 6,
  kTcpClose = 7,
  kTcpCloseWait = 8,
  kTcpLastAck = 9,
  kTcpListen = 10,
  kTcpClosing = 11,
};
const char* tcp_state_name(std::uint32_t state);

// The detail of a file of kind "tcp"; null pointer: it is of another kind.
bool is_tcp(const pb::File& file);
Result<pb::Tcp> tcp_of(const pb::File& file);
void set_tcp(const pb::Tcp& tcp, pb::File& file);

// Kind::plan
Result<void> plan_tcp(PlanBuilder& plan, const pb::File& file, const pb::FileObject*);

// Is there another end that must not notice?
bool is_connection(const pb::Tcp& tcp);
// Its addresses and ports, and those that its other end has: the same where both are of one machine.
std::string own_ends(const pb::Tcp& tcp);
std::string other_ends(const pb::Tcp& tcp);
// Was connected, and is not any more: nothing is left but unread bytes and what reads and writes say.
bool was_connection(const pb::Tcp& tcp);

// --tcp-close: a connection becomes one that the other end has reset, with nothing left to read.
void take_as_closed(pb::Tcp& tcp);

// A connection, or what is left of one: dump and restore have to find it in a process' descriptors.
bool is_tied_to_descriptors(const pb::File& file);
bool is_tied_to_descriptors(const pb::Tcp& tcp);

// How far the bytes go in sequence numbers, FINs left out.
std::uint32_t unread_end(const pb::TcpConnection& connection);
std::uint32_t written_end(const pb::TcpConnection& connection);
// Bytes at the beginning of TcpConnection.unacknowledged that were sent. A restore puts them into the queue
// as sent; what follows is sent, and is written, when the connection goes on.
std::uint32_t sent_bytes(const pb::Tcp& tcp);

// TCP_REPAIR and its like: include/uapi/linux/tcp.h
enum TcpRepair : int {
  kRepairOff = 0,
  kRepairOn = 1,
  kRepairOffQuietly = -1,  // without a window probe
};
enum TcpQueue : int { kNoQueue = 0, kReceiveQueue = 1, kSendQueue = 2 };

// SO_RCVBUF or SO_SNDBUF, as getsockopt(2) shows it, under which `bytes` have room however they are packed;
// no more than the kernel's own limit (net/core/sock.c:__sock_set_rcvbuf()).
inline std::uint32_t buffer_with_room(std::uint32_t usual, std::uint64_t bytes) {
  constexpr std::uint64_t kMost = 0x7ffffffe;
  return static_cast<std::uint32_t>(
      std::min(kMost, std::max<std::uint64_t>(usual, bytes * 4 + (std::uint64_t{1} << 20))));
}

}  // namespace bpfckpt::kinds
