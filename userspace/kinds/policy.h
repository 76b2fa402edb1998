// SPDX-License-Identifier: Apache-2.0
// What the user allows a dump to take, from the command line.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bpfckpt {

struct DumpPolicy {
  bool shell_job = false;
  bool file_locks = false;
  bool tcp_established = false;
  bool tcp_close = false;
  bool skip_in_flight = false;
  bool network_lock = true;
  bool link_remap = false;
  bool ext_unix_sk = false;
  std::uint64_t ghost_limit_bytes = UINT64_MAX;
  std::vector<std::string> external;  // "file[mnt:ino]", "tty[rdev:dev]", "dev[maj/min]:name"
};

}  // namespace bpfckpt
