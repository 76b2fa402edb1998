// SPDX-License-Identifier: Apache-2.0
#include "restore/fill_pages.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/page_buffer.h"
#include "image/file_io.h"

namespace bpfckpt::restore {
namespace {

// Stays in the second-level cache.
constexpr std::size_t kBufferBytes = 256 << 10;
constexpr std::size_t kPageBytes = 4096;

// How many bytes of `from` are there now as new pages; 0: the first page is there already, or is in no
// mapping that takes copies, or not all of them are in the same one.
Result<std::size_t> copy_new_pages(int userfaultfd, char* to, std::span<const std::byte> from) {
  for (;;) {
    uffdio_copy copy{};
    copy.dst = reinterpret_cast<std::uint64_t>(to);
    copy.src = reinterpret_cast<std::uint64_t>(from.data());
    copy.len = from.size();
    if (::ioctl(userfaultfd, UFFDIO_COPY, &copy) == 0) return from.size();
    if (copy.copy > 0) return static_cast<std::size_t>(copy.copy);
    if (errno == EEXIST || errno == ENOENT) return 0;
    if (errno != EAGAIN && errno != EINTR) return fail(Error::system("UFFDIO_COPY"));
  }
}

Result<std::size_t> write_over(pid_t pid, char* to, std::span<const std::byte> from) {
  const iovec local{const_cast<std::byte*>(from.data()), from.size()};
  const iovec remote{to, from.size()};
  const ssize_t written = ::process_vm_writev(pid, &local, 1, &remote, 1, 0);
  if (written <= 0)
    return fail(Error::system(fmt::format("write of memory of pid {}", pid), written < 0 ? errno : EFAULT));
  return static_cast<std::size_t>(written);
}

// A missing page where a userfaultfd waits for it can only be copied: nobody would answer the fault of a
// write.
Result<void> put(pid_t pid, char* to, std::span<const std::byte> from, int userfaultfd) {
  while (!from.empty()) {
    const auto page = from.first(std::min(from.size(), kPageBytes));
    std::size_t done = 0;
    if (userfaultfd >= 0) {
      TRY_ASSIGN(done, copy_new_pages(userfaultfd, to, from));
    }
    if (userfaultfd >= 0 && done == 0) {
      TRY_ASSIGN(done, copy_new_pages(userfaultfd, to, page));
    }
    if (done == 0) {
      TRY_ASSIGN(done, write_over(pid, to, userfaultfd < 0 ? from : page));
    }
    from = from.subspan(done);
    to += done;
  }
  return {};
}

}  // namespace

Result<void> fill_pages(pid_t pid, int fd, std::span<const iovec> parts, std::uint64_t offset,
                        int userfaultfd, image::BlockChecksum* checksum) {
  const PageBuffer buffer(kBufferBytes);
  for (const iovec& part : parts) {
    for (std::size_t done = 0; done < part.iov_len;) {
      const auto piece = buffer.bytes().first(std::min(buffer.size(), part.iov_len - done));
      TRY(image::read_fully(fd, piece, offset), "read of pages");
      if (checksum != nullptr) checksum->add(piece);
      TRY(put(pid, static_cast<char*>(part.iov_base) + done, piece, userfaultfd));
      done += piece.size();
      offset += piece.size();
    }
  }
  return {};
}

}  // namespace bpfckpt::restore
