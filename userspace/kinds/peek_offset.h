// SPDX-License-Identifier: Apache-2.0
// SO_PEEK_OFF of a socket that is somebody else's, for as long as this lives; killed meanwhile, bpfckpt
// leaves it as it is.
#pragma once

#include <sys/socket.h>

#include "base/result.h"

namespace bpfckpt::kinds {

class PeekOffset {
 public:
  // The next MSG_PEEK begins `offset` bytes from the first; -1: each shows the first again.
  // Precondition: `fd` outlives this.
  static Result<PeekOffset> set(int fd, int offset);
  PeekOffset(PeekOffset&& other) noexcept : fd_(other.fd_), before_(other.before_) { other.fd_ = -1; }
  PeekOffset& operator=(PeekOffset&&) = delete;
  ~PeekOffset() {
    if (fd_ >= 0) ::setsockopt(fd_, SOL_SOCKET, SO_PEEK_OFF, &before_, sizeof before_);
  }

 private:
  PeekOffset(int fd, int before) : fd_(fd), before_(before) {}

  int fd_, before_;
};

inline Result<PeekOffset> PeekOffset::set(int fd, int offset) {
  int before = -1;
  socklen_t len = sizeof before;
  if (::getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &before, &len) != 0 ||
      ::setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof offset) != 0)
    return fail(Error::system("SO_PEEK_OFF"));
  return PeekOffset(fd, before);
}

}  // namespace bpfckpt::kinds
