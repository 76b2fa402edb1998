// SPDX-License-Identifier: Apache-2.0
// Packets of a connection's other end, made up: the only way to tell the kernel that a FIN, a last
// acknowledgement or a reset arrived.
#pragma once

#include <netinet/in.h>

#include <cstdint>

#include "base/fd.h"
#include "base/result.h"

namespace bpfckpt::restore {

class PacketForger {
 public:
  enum Flag : std::uint8_t { kFin = 1, kReset = 4, kAck = 16 };

  // Sends one from the other end of the connected socket `fd` to it, over the loopback device, marked so that
  // the network lock lets it pass. It may arrive after the call returned.
  Result<void> send(int fd, std::uint8_t flags, std::uint32_t sequence, std::uint32_t acknowledgement);

 private:
  Result<int> raw_socket(int family);

  Fd v4_, v6_;
};

}  // namespace bpfckpt::restore
