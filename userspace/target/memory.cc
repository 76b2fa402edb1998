// SPDX-License-Identifier: Apache-2.0
#include "target/memory.h"

#include <fcntl.h>
#include <sys/uio.h>

namespace bpfckpt::target {
namespace {

Result<void> transferred(const char* call, ssize_t moved, std::size_t wanted, RemoteAddress at) {
  if (moved == static_cast<ssize_t>(wanted)) return {};
  // A transfer ends before the first page that is not there.
  return fail(Error::system(fmt::format("{} of {} bytes at {:#x}", call, wanted, at.value()),
                            moved < 0 ? errno : EFAULT));
}

}  // namespace

Result<void> read_memory(pid_t pid, RemoteAddress from, std::span<std::byte> to) {
  const iovec local{to.data(), to.size()};
  const iovec remote{reinterpret_cast<void*>(from.value()), to.size()};
  return transferred("process_vm_readv", ::process_vm_readv(pid, &local, 1, &remote, 1, 0), to.size(), from);
}

Result<void> write_memory(pid_t pid, RemoteAddress to, std::span<const std::byte> bytes) {
  const iovec local{const_cast<std::byte*>(bytes.data()), bytes.size()};
  const iovec remote{reinterpret_cast<void*>(to.value()), bytes.size()};
  return transferred("process_vm_writev", ::process_vm_writev(pid, &local, 1, &remote, 1, 0), bytes.size(),
                     to);
}

Result<void> poke_memory(pid_t pid, RemoteAddress to, std::span<const std::byte> bytes) {
  const std::string path = fmt::format("/proc/{}/mem", pid);
  const Fd memory(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!memory) return fail(Error::system(path));
  return transferred("write to /proc/PID/mem",
                     ::pwrite(memory.get(), bytes.data(), bytes.size(), static_cast<off_t>(to.value())),
                     bytes.size(), to);
}

Result<Fd> open_mapped_file(pid_t pid, const RemoteRange& range) {
  const std::string path =
      fmt::format("/proc/{}/map_files/{:x}-{:x}", pid, range.start.value(), range.end.value());
  Fd file(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  if (!file) return fail(Error::system(path));
  return file;
}

}  // namespace bpfckpt::target
