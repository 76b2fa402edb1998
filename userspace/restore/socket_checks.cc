// SPDX-License-Identifier: Apache-2.0
#include "restore/socket_checks.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "base/fd.h"
#include "kinds/unix.h"

namespace bpfckpt::restore {
namespace {

// Is a socket bound there? Connecting as a socket of another type tells, and disturbs nobody
// (net/unix/af_unix.c:unix_find_bsd(): EPROTOTYPE).
bool is_alive(const std::string& path, std::uint32_t type) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, path.data(), path.size());
  Fd probe(::socket(AF_UNIX,
                    (type == SOCK_DGRAM ? SOCK_SEQPACKET : SOCK_DGRAM) | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return false;
  return ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ||
         errno == EPROTOTYPE || errno == EAGAIN;
}

// Has somebody that abstract name, for sockets of that type? Others do not mind it.
bool is_taken(const std::string& name, std::uint32_t type) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (name.size() > sizeof address.sun_path) return false;
  std::memcpy(address.sun_path, name.data(), name.size());
  Fd probe(::socket(AF_UNIX, static_cast<int>(type) | SOCK_CLOEXEC, 0));
  const auto len_bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  return probe && ::bind(probe.get(), reinterpret_cast<const sockaddr*>(&address), len_bytes) != 0 &&
         errno == EADDRINUSE;
}

}  // namespace

Result<void> check_socket_names(const Model& model, const std::vector<std::uint32_t>& except) {
  std::string conflicts;
  auto add = [&](const std::string& path, const char* why) {
    conflicts += fmt::format("{}{} {}", conflicts.empty() ? "" : "\n", path, why);
  };
  for (const pb::File& file : model.files.files()) {
    if (file.kind() != "unix" || std::ranges::find(except, file.id()) != except.end()) continue;
    TRY_ASSIGN(const pb::UnixSocket socket, kinds::unpack_unix(file), "file {}", file.id());
    if (socket.bound() && kinds::is_abstract(socket.name()) &&
        is_taken(socket.name(), socket.common().type()))
      add(kinds::unix_name_text(socket.name()), "is the name of a socket that another process has");
    if (!socket.bound() || !kinds::is_path(socket.name()) || socket.node().deleted()) continue;
    const std::string& path = socket.node().path();
    struct stat facts{};
    if (::lstat(path.c_str(), &facts) != 0) continue;
    if (!S_ISSOCK(facts.st_mode))
      add(path, "is no socket any more");
    else if (is_alive(path, socket.common().type()))
      add(path, "is a socket that another process has");
  }
  if (conflicts.empty()) return {};
  return fail(Error::conflict(conflicts));
}

}  // namespace bpfckpt::restore
