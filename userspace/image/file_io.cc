// SPDX-License-Identifier: Apache-2.0
#include "image/file_io.h"

#include <sys/stat.h>
#include <unistd.h>

namespace bpfckpt::image {

Result<void> write_fully(int fd, std::string_view bytes, std::uint64_t offset) {
  while (!bytes.empty()) {
    ssize_t n = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Error::system("write"));
    bytes.remove_prefix(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<void> read_fully(int fd, std::span<std::byte> out, std::uint64_t offset) {
  while (!out.empty()) {
    ssize_t n = pread(fd, out.data(), out.size(), static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail(Error::system("read"));
    if (n == 0) return fail(Error::bad_image("file ends too early"));
    out = out.subspan(static_cast<std::size_t>(n));
    offset += static_cast<std::uint64_t>(n);
  }
  return {};
}

Result<std::uint64_t> file_size(int fd) {
  struct stat st;
  if (fstat(fd, &st) != 0) return fail(Error::system("fstat"));
  return static_cast<std::uint64_t>(st.st_size);
}

Result<std::string> read_whole_file(int fd, std::uint64_t limit_bytes) {
  TRY_ASSIGN(std::uint64_t size, file_size(fd));
  if (size > limit_bytes) return fail(Error::bad_image(fmt::format("{} bytes are too many", size)));
  std::string bytes(size, '\0');
  TRY(read_fully(fd, std::as_writable_bytes(std::span(bytes)), 0));
  return bytes;
}

}  // namespace bpfckpt::image
