// SPDX-License-Identifier: Apache-2.0
// Internet sockets that are there, of whomever, as the kernel lists them (NETLINK_SOCK_DIAG).
#pragma once

#include <linux/inet_diag.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace bpfckpt::restore {

// What the kernel says of a TCP or UDP socket in this network namespace.
struct PresentSocket {
  std::uint8_t protocol = 0;
  std::string local, remote;  // 16 bytes
  std::uint16_t local_port = 0, remote_port = 0;
  std::uint8_t state = 0;
  std::uint32_t inode = 0;  // 0: no process has it
  std::uint32_t expires_ms = 0;
  inet_diag_msg raw{};
};

Result<Fd> diag_socket();
// Appends those of the calling thread's network namespace. Error: also where the kernel has no module for it.
Result<void> list_sockets(int fd, std::uint8_t family, std::uint8_t protocol,
                          std::vector<PresentSocket>& out);
// Ends what a kill left: a connection that no process has, whose packets the checkpoint's lock drops.
bool destroy_connection(int fd, const PresentSocket& one);
// Its state and who has it, for people.
std::string to_text(const PresentSocket& one);

}  // namespace bpfckpt::restore
