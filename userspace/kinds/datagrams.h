// SPDX-License-Identifier: Apache-2.0
// Datagrams that wait in a UDP socket.
//
// BPF sees their headers, bpfckpt reads their payload (MSG_PEEK). At restore they come as they came: as
// packets whose headers are theirs, which bpfckpt sends to the socket over the loopback device before the
// socket has its name. It has a port of its own until then, so that no other socket of the same name gets
// them and nothing but they is in its queue; connect(2) to no address (AF_UNSPEC) takes that port away again.
#pragma once

#include <string>

#include "images/kinds/udp.pb.h"
#include "kinds/kind.h"
#include "plan/builder.h"

struct inet_datagram_record;  // bpf/kinds/inet_queue.h

namespace bpfckpt::kinds {

void add_datagram(const inet_datagram_record& record, pb::Udp& udp);
// Reads the payload of those that are known, from the socket's borrowed `fd`; none is taken from it.
Result<void> read_datagrams(int fd, pb::Udp& udp);
// Those that UDP_GRO has put together become as many as came. Precondition: their payload is read.
void take_datagrams_apart(pb::Udp& udp);

// Puts them into the queue of bpfckpt's `fd`, which has its options of IP and no name; it has none
// afterwards.
void plan_datagrams(PlanBuilder& plan, Operand fd, const pb::File& file, const pb::Udp& udp);
// What their coming has changed and no option sets.
void plan_datagrams_end(PlanBuilder& plan, Operand fd, const pb::Udp& udp);

// `name`: of the socket, for people.
Finding judge_datagrams(const pb::Udp& udp, const std::string& name);
Result<void> check_datagrams(const pb::Udp& udp);

}  // namespace bpfckpt::kinds
