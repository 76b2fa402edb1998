// SPDX-License-Identifier: Apache-2.0
#include "restore/fill_pages.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace bpfckpt::restore {
namespace {

// Stays in the second-level cache.
constexpr std::size_t kBufferBytes = 256 << 10;

}  // namespace

Result<void> fill_pages(pid_t pid, int fd, std::span<const iovec> parts, std::uint64_t offset) {
  std::vector<char> buffer(kBufferBytes);
  for (const iovec& part : parts) {
    for (std::size_t done = 0; done < part.iov_len;) {
      const ssize_t got = ::pread(fd, buffer.data(), std::min(buffer.size(), part.iov_len - done),
                                  static_cast<off_t>(offset));
      if (got <= 0) return fail(Error::system("read of pages", got < 0 ? errno : EIO));
      const iovec from{buffer.data(), static_cast<std::size_t>(got)};
      const iovec to{static_cast<char*>(part.iov_base) + done, static_cast<std::size_t>(got)};
      const ssize_t put = ::process_vm_writev(pid, &from, 1, &to, 1, 0);
      if (put <= 0)
        return fail(Error::system(fmt::format("write of memory of pid {}", pid), put < 0 ? errno : EFAULT));
      done += static_cast<std::size_t>(put);
      offset += static_cast<std::uint64_t>(put);
    }
  }
  return {};
}

}  // namespace bpfckpt::restore
