// SPDX-License-Identifier: Apache-2.0
// Reads what TCP sockets have sent and nobody has acknowledged, or not sent at all.
//
// The kernel shows it in repair mode only (TCP_REPAIR; net/ipv4/tcp.c:tcp_peek_sndq()), in which a socket is
// of no use to its program: one that was left in it would not go on. So this is done by a process of its own,
// for many sockets at once: it switches the mode on, reads, and switches it off, socket by socket, whether
// bpfckpt lives or not, and ends when it sees nobody at the other end of its pipe. Should it be killed,
// bpfckpt switches the mode off. Nobody but a target that is read right now is ever in it, for some
// microseconds.
#pragma once

#include <sys/types.h>
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "dump/outliving_process.h"

namespace bpfckpt::dump {

class RepairGuardian {
 public:
  // One socket: where a process has it, and where in buffer() its bytes go.
  struct Request {
    std::int32_t pid = 0;
    std::int32_t fd = 0;
    std::int32_t reuse = 0;  // SO_REUSEADDR, which TCP_REPAIR changes
    std::int32_t error = 0;  // out: errno
    std::uint64_t offset = 0;
    std::uint64_t room_bytes = 0;
    std::uint64_t len_bytes = 0;  // out
    // Out: how much of the end was never sent, a FIN that was written counted.
    std::uint64_t unsent = 0;
  };
  static constexpr std::size_t kMostRequests = 1024;
  static constexpr std::size_t kBufferBytes = std::size_t{1} << 30;  // of which what is written takes memory

  // Before the freeze: it costs a fork.
  static Result<RepairGuardian> start();
  RepairGuardian(RepairGuardian&&) noexcept = default;
  RepairGuardian& operator=(RepairGuardian&&) = delete;
  // Ends the process.
  ~RepairGuardian();

  // Fills requests() [0, count) and answers when all are done; none of the sockets is in repair mode then,
  // error or not.
  Result<void> read(std::size_t count);
  std::span<Request> requests();
  std::span<const std::byte> buffer() const { return {memory_.data() + kHeadBytes, kBufferBytes}; }
  pid_t pid() const { return process_.pid(); }

 private:
  static constexpr std::size_t kHeadBytes = (sizeof(Request) * kMostRequests + 4095) & ~std::size_t{4095};

  RepairGuardian() = default;
  void heal(std::size_t count);

  Mapping memory_;
  OutlivingProcess process_;
  Fd commands_, answers_;
};

}  // namespace bpfckpt::dump
