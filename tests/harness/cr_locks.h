// SPDX-License-Identifier: Apache-2.0
// Locks on ranges of bytes, for tests of tests/cr.
#pragma once

#include <optional>
#include <ostream>

#include "harness/cr_memory.h"

namespace cr {

// A lock that is in the way; `len` 0: to the end.
struct Held {
  int type;
  off_t start, len;
  pid_t pid;
  bool operator==(const Held&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const std::optional<Held>& held) {
  if (!held) return out << "nothing";
  return out << "type " << held->type << " from " << held->start << ", " << held->len << " bytes, pid "
             << held->pid;
}

inline bool lock(int fd, int command, int type, off_t start, off_t len) {
  struct flock range{};
  range.l_type = static_cast<short>(type);
  range.l_whence = SEEK_SET;
  range.l_start = start;
  range.l_len = len;
  return ::fcntl(fd, command, &range) == 0;
}

// What is in the way of such a lock of ours.
inline std::optional<Held> held(int fd, int type, off_t start, off_t len, int command = F_GETLK) {
  struct flock range{};
  range.l_type = static_cast<short>(type);
  range.l_whence = SEEK_SET;
  range.l_start = start;
  range.l_len = len;
  REQUIRE(::fcntl(fd, command, &range) == 0);
  if (range.l_type == F_UNLCK) return {};
  return Held{range.l_type, range.l_start, range.l_len, range.l_pid};
}

// Processes that take turns.
inline void touch_file(const char* name) {
  const int fd = ::open((directory() + "/" + name).c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  REQUIRE(fd >= 0);
  ::close(fd);
}
inline void await_file(const char* name) {
  for (int i = 0; i < 5000 && ::access((directory() + "/" + name).c_str(), F_OK) != 0; ++i) ::usleep(2000);
  CHECK_EQ(::access((directory() + "/" + name).c_str(), F_OK), 0);
}

}  // namespace cr
